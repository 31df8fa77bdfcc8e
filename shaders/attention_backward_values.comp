// dv, see attention_backward_keys.glsl.
#version 450
#include "common.glsl"
#define GRADIENT AttentionBackward_dv
#define VALUES
#include "attention_backward_keys.glsl"
