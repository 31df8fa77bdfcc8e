// dgain[c] = sum_r dy[r,c] xhat[r,c],  dbias[c] = sum_r dy[r,c], from the sums of norm_backward_weight over blocks of D rows. One
// invocation per column.
#version 450
#include "common.glsl"

TENSOR(kScratch, readonly restrict, float, sums);          // (ceil(R/D),2,C)
TENSOR(NormBackwardWeight_dgain, restrict, float, dgain);  // (C)
TENSOR(NormBackwardWeight_dbias, restrict, float, dbias);  // (C)

void main() {
    const uint c = group() * W + gl_LocalInvocationIndex;
    if (c >= p.C) return;
    float gain = 0.0, bias = 0.0;
    for (uint chunk = 0; chunk * D < live_rows(); ++chunk) {
        gain += AT(sums, chunk * 2 * p.C + c);
        bias += AT(sums, chunk * 2 * p.C + p.C + c);
    }
    PUT(dgain, c, gain);
    if (HAS(dbias)) PUT(dbias, c, bias);
}
