// y[i] = residual[i] + dropout(act(scale pre[i])). A workgroup takes W / 4 groups of 128 elements; an invocation takes the elements
// that four blocks of random numbers decide over.
#version 450
#include "common.glsl"
#include "activation.glsl"
#include "activations.glsl"
#include "dropout.glsl"

ACTIVATION_IN(LinearEpilogue_pre, readonly restrict, pre)            // (R,N)
ACTIVATION_IN(LinearEpilogue_residual, readonly restrict, residual)  // (R,N)
ACTIVATION_OUT(LinearEpilogue_y, writeonly restrict, y)              // (R,N)

void main() {
    const uint end = live_rows() * p.N, first_block = 4 * (group() * W + gl_LocalInvocationIndex);
    const uint first = first_block / 16 * 128 + first_block % 16;
    if (first >= end) return;
    uvec4 blocks[4];
    for (uint q = 0; q < 4; ++q) blocks[q] = dropout_block(first_block + q);
    for (uint h = 0; h < 8; ++h) {
        const uint i = first + 16 * h;
        if (i >= end) continue;
        const vec4 from = p.scale * get_vec4_pre(i, end - i);
        vec4 to = HAS(residual) ? get_vec4_residual(i, end - i) : vec4(0);
        for (uint q = 0; q < 4; ++q) to[q] += dropout_factor(blocks[q], h) * activate(kAct, from[q]);
        put_vec4_y(i, to, end - i);
    }
}
