// dpre[i] = dropout(dy[i]) act'(pre[i]), in place where dpre is dy. A workgroup takes W / 4 groups of 128 elements, an invocation
// those that four blocks of random numbers decide over.
#version 450
#include "common.glsl"
#include "activation.glsl"
#include "dropout.glsl"
#include "fours.glsl"

FOURS(0, dy)    // (R,N)
FOURS(1, pre)   // (R,N)
FOURS(5, dpre)  // (R,N)

void main() {
    const uint end = run_rows() * p.N, first_block = 4 * (group() * W + gl_LocalInvocationIndex);
    const uint first = first_block / 16 * 128 + first_block % 16;
    if (first >= end) return;
    uvec4 blocks[4];
    for (uint q = 0; q < 4; ++q) blocks[q] = kDrops == 0 ? uvec4(0) : dropout_block(first_block + q);
    for (uint h = 0; h < 8; ++h) {
        const uint i = first + 16 * h;
        if (i >= end) continue;
        vec4 factors;
        for (uint q = 0; q < 4; ++q) factors[q] = dropout_factor(blocks[q], h);
        vec4 d = get_dy(i, end) * factors;
        if (kAct != 0) {
            const vec4 from = get_pre(i, end);
            for (uint q = 0; q < 4; ++q) d[q] *= activate_derivative(kAct, from[q]);
        }
        put_dpre(i, end, d);
    }
}
