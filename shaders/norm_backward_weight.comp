// sum_r dy[r,c] xhat[r,c] and sum_r dy[r,c] over blocks of D rows, with xhat = (x - mean) rstd. One workgroup per W columns and D
// rows.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, float, dy);     // (R,C)
TENSOR(1, readonly restrict, float, x);      // (R,C)
TENSOR(2, readonly restrict, float, mean);   // (R)
TENSOR(3, readonly restrict, float, rstd);   // (R)
TENSOR(5, writeonly restrict, float, sums);  // (ceil(R/D),2,C)

void main() {
    const uint blocks = (p.C + W - 1) / W, chunk = group() / blocks;
    const uint c = group() % blocks * W + gl_LocalInvocationIndex;
    if (c >= p.C || chunk * D >= p.B * p.T) return;
    float gain = 0.0, bias = 0.0;
    for (uint r = chunk * D; r < min((chunk + 1) * D, p.B * p.T); ++r) {
        const float d = AT(0, dy, r * p.C + c);
        gain = fma(d, (AT(1, x, r * p.C + c) - AT(2, mean, r)) * AT(3, rstd, r), gain);
        bias += d;
    }
    AT(5, sums, chunk * 2 * p.C + c) = gain;
    AT(5, sums, chunk * 2 * p.C + p.C + c) = bias;
}
