// linear_backward_epilogue.comp for devices that are CPUs.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(0, dy)   // (R,N)
TEXELS(1, pre)  // (R,N)
#include "linear_backward_epilogue.glsl"
