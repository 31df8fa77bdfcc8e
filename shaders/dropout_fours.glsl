// Elements with their dropout, for shaders that take every one of a mask: runs `body` for fours of elements from i on, i < end,
// with their factors, all that are decided by four blocks of random numbers. A workgroup takes W / 4 groups of 128 elements.
// D is the activation, plus 4 where there is dropout: what is branched over in a shader is not skipped on every device.
#include "dropout.glsl"

#define FOR_DROPOUT_FOURS(i, end, factors, body)                                                \
    const uint first_block = 4 * (group() * W + gl_LocalInvocationIndex);                       \
    const uint first = first_block / 16 * 128 + first_block % 16;                               \
    if (first >= end) return;                                                                   \
    uvec4 blocks[4];                                                                            \
    for (uint q = 0; q < 4; ++q) blocks[q] = D < 4 ? uvec4(0) : dropout_block(first_block + q); \
    for (uint h = 0; h < 8; ++h) {                                                              \
        const uint i = first + 16 * h;                                                          \
        if (i < end) {                                                                          \
            vec4 factors;                                                                       \
            for (uint q = 0; q < 4; ++q) factors[q] = dropout_factor(blocks[q], h);             \
            body                                                                                \
        }                                                                                       \
    }
