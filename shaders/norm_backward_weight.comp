// sum_r dy[r,c] xhat[r,c] and sum_r dy[r,c] over blocks of D rows, with xhat = (x - mean) rstd. One workgroup per W columns and D
// rows.
#version 450
#include "common.glsl"

TENSOR(NormBackwardWeight_dy, readonly restrict, float, dy);      // (R,C)
TENSOR(NormBackwardWeight_x, readonly restrict, float, x);        // (R,C)
TENSOR(NormBackwardWeight_mean, readonly restrict, float, mean);  // (R)
TENSOR(NormBackwardWeight_rstd, readonly restrict, float, rstd);  // (R)
TENSOR(kScratch, writeonly restrict, float, sums);                // (ceil(R/D),2,C)

void main() {
    const uint blocks = (p.C + W - 1) / W, chunk = group() / blocks;
    const uint c = group() % blocks * W + gl_LocalInvocationIndex;
    const uint end = min((chunk + 1) * D, live_rows());
    if (c >= p.C || chunk * D >= p.B * p.T) return;
    float gain = 0.0, bias = 0.0;
    for (uint r = chunk * D; r < end; ++r) {
        const float d = AT(dy, r * p.C + c);
        gain = fma(d, (AT(x, r * p.C + c) - (HAS(mean) ? AT(mean, r) : 0.0)) * AT(rstd, r), gain);
        bias += d;
    }
    AT(sums, chunk * 2 * p.C + c) = gain;
    AT(sums, chunk * 2 * p.C + p.C + c) = bias;
}
