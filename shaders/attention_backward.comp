// attention_backward.glsl from storage buffers.
#version 450
#include "common.glsl"
#include "attention_backward.glsl"
