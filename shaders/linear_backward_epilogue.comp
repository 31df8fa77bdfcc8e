// dpre[i] = or += scale dropout(dy[i]) act'(scale pre[i]). A workgroup takes W / 4 groups of 128 elements; an invocation takes the
// elements that four blocks of random numbers decide over.
#version 450
#include "common.glsl"
#include "activation.glsl"
#include "activations.glsl"
#include "dropout.glsl"

ACTIVATION_IN(LinearBackwardEpilogue_dy, readonly, dy)             // (R,N)
ACTIVATION_IN(LinearBackwardEpilogue_pre, readonly restrict, pre)  // (R,N)
ACTIVATION_OUT(LinearBackwardEpilogue_dpre, , dpre)                // (R,N), may be dy

void main() {
    const uint end = live_rows() * p.N, first_block = 4 * (group() * W + gl_LocalInvocationIndex);
    const uint first = first_block / 16 * 128 + first_block % 16;
    if (first >= end) return;
    uvec4 blocks[4];
    for (uint q = 0; q < 4; ++q) blocks[q] = dropout_block(first_block + q);
    for (uint h = 0; h < 8; ++h) {
        const uint i = first + 16 * h;
        if (i >= end) continue;
        vec4 factors;
        for (uint q = 0; q < 4; ++q) factors[q] = dropout_factor(blocks[q], h);
        vec4 d = get_vec4_dy(i, end - i) * factors * p.scale;
        if (kAct != 0) {
            const vec4 from = p.scale * get_vec4_pre(i, end - i);
            for (uint q = 0; q < 4; ++q) d[q] *= activate_derivative(kAct, from[q]);
        }
        if (adds(dpre_operand))
            for (uint q = 0; q < 4 && i + q < end; ++q) d[q] += AT(dpre, i + q);
        put_vec4_dpre(i, d, end - i);
    }
}
