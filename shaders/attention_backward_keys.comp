// attention_backward_keys.glsl from storage buffers.
#version 450
#include "common.glsl"
#include "attention_backward_keys.glsl"
