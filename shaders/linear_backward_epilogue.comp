#version 450
#include "common.glsl"
#include "fours.glsl"

FOURS(0, dy)   // (R,N)
FOURS(1, pre)  // (R,N)
#include "linear_backward_epilogue.glsl"
