// The numbers of w, from row `begin` on, as floats: what linear_texels reads of weights that are none. One invocation for eight.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(1, w)       // (N,C)
FOURS(5, numbers)  // (N,C)

#define NUMBER w_number
#define RUN w_run
#define DATA(i) texel_bits(w_texels, i)
#include "number.glsl"

float bf16_of(uint at) { return uintBitsToFloat(texel_bits(w_texels, at / 2) >> 16 * (at & 1) << 16); }

void main() {
    const uint i = 8 * (group() * W + gl_LocalInvocationIndex), end = (p.end - p.begin) * p.C;
    if (i >= end) return;
    vec4 eight[2];
    if (in_blocks(kType))
        eight = numbers_of(kType, w_run(kType, p.shift[1], i / 8));
    else
        for (uint q = 0; q < 8; ++q) eight[q / 4][q % 4] = bf16_of(p.shift[1] + min(i + q, end - 1));
    for (uint q = 0; q < 2; ++q) put_numbers(i + 4 * q, end, eight[q]);
}
