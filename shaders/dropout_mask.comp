// A dropout mask for the other shaders of the node: bit i % 32 of word i / 32 says whether element i is dropped. One invocation per
// group of 128 elements, for which it needs 16 blocks of random numbers; there are `end` groups.
#version 450
#include "common.glsl"
#include "dropout.glsl"

TENSOR(kScratch, writeonly restrict, uint, mask);  // (end,4)

void main() {
    const uint g = group() * W + gl_LocalInvocationIndex;
    if (g >= p.end) return;
    uvec4 dropped = uvec4(0);
    for (uint i = 0; i < 16; ++i) {
        const uvec4 block = dropout_block(16 * g + i);
        dropped |= uvec4(lessThan(block & 0xFFFFu, uvec4(p.dropout))) << i;
        dropped |= uvec4(lessThan(block >> 16, uvec4(p.dropout))) << i + 16;
    }
    for (uint q = 0; q < 4; ++q) AT(mask, 4 * g + q) = dropped[q];
}
