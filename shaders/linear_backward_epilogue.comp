// dpre[i] = dropout(dy[i]) act'(pre[i]), in place where dpre is dy. An invocation takes the eight elements of a group of 128
// whose dropout is decided by one block of random numbers.
#version 450
#include "common.glsl"

TENSOR(0, float, dy);    // (R,N)
TENSOR(1, float, pre);   // (R,N)
TENSOR(5, float, dpre);  // (R,N)

#include "activation.glsl"
#include "dropout.glsl"

void main() {
    const uint block = group() * W + gl_LocalInvocationIndex, count = run_rows() * p.N;
    uint i = block / 16 * 128 + block % 16;
    if (i >= count) return;
    const uvec4 words = dropout_block(block);
    for (uint half_of = 0; half_of < 8 && i < count; ++half_of, i += 16) {
        const float d = AT(0, dy, i) * dropout_factor(words, half_of);
        AT(5, dpre, i) = has(1) ? d * activate_derivative(p.act, AT(1, pre, i)) : d;
    }
}
