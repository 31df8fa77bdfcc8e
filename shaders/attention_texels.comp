// attention.glsl from texel buffers, for devices that are CPUs.
#version 450
#include "common.glsl"
#include "texels.glsl"
#include "attention.glsl"
