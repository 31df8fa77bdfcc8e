// dgain[c] = sum_r dy[r,c] xhat[r,c],  dbias[c] = sum_r dy[r,c], from the sums of norm_backward_weight over blocks of D rows. One
// invocation per column.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, float, sums);  // (ceil(R/D),2,C)
TENSOR(5, restrict, float, dgain);          // (C)
TENSOR(6, restrict, float, dbias);          // (C)

void main() {
    const uint c = group() * W + gl_LocalInvocationIndex;
    if (c >= p.C) return;
    float gain = adds_weight(0) ? AT(5, dgain, c) : 0.0, bias = has(6) && adds_weight(1) ? AT(6, dbias, c) : 0.0;
    for (uint chunk = 0; chunk * D < p.B * p.T; ++chunk) {
        gain += AT(0, sums, chunk * 2 * p.C + c);
        bias += AT(0, sums, chunk * 2 * p.C + p.C + c);
    }
    AT(5, dgain, c) = gain;
    if (has(6)) AT(6, dbias, c) = bias;
}
