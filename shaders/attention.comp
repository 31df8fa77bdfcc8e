// attention.glsl from storage buffers.
#version 450
#include "common.glsl"
#include "attention.glsl"
