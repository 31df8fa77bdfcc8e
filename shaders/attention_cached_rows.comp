// attention_cached for many rows: attention.glsl from storage buffers.
#version 450
#define CACHED
#include "common.glsl"
#include "attention.glsl"
