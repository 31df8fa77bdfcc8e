// The same from texel buffers, for devices that are CPUs.
#version 450
#define CACHED
#include "common.glsl"
#include "texels.glsl"
#include "attention.glsl"
