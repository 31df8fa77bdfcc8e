// dk of attention_backward.
#version 450
#include "common.glsl"
#define GRADIENT AttentionBackward_dk
#include "attention_backward_keys.glsl"
