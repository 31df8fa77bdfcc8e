// Weights w of any type, from row `begin` on, on devices that are CPUs: they read texels faster than buffers.
layout(binding = 2) uniform usamplerBuffer w_words;  // (N,C)

#define NUMBER w_number
#define RUN w_run
#define DATA(i) texelFetch(w_words, int(i)).x
#include "number.glsl"
