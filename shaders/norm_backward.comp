// With xhat = (x - mean) rstd and g = dy gain:  dx = rstd (g - mean_c(g) - xhat mean_c(g xhat)), for RMS norm without mean_c(g)
// and with a mean of 0. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(NormBackward_dy, readonly restrict, float, dy);      // (R,C)
TENSOR(NormBackward_x, readonly restrict, float, x);        // (R,C)
TENSOR(NormBackward_gain, readonly restrict, float, gain);  // (C)
TENSOR(NormBackward_mean, readonly restrict, float, mean);  // (R)
TENSOR(NormBackward_rstd, readonly restrict, float, rstd);  // (R)
TENSOR(NormBackward_dx, restrict, float, dx);               // (R,C)

void main() {
    const uint r = group(), i = gl_LocalInvocationIndex, row = r * p.C, last = p.C - 1;
    if (r >= live_rows()) return;
    const float m = HAS(mean) ? AT(mean, r) : 0.0, s = AT(rstd, r);
    float g_sum = 0.0, gx_sum = 0.0;
    for (uint first = 0; first < p.C; first += W) {
        const uint c = min(first + i, last);
        const float g = only_if(first + i < p.C, AT(dy, row + c) * AT(gain, c));
        const float xhat = only_if(first + i < p.C, (AT(x, row + c) - m) * s);
        g_sum += g;
        gx_sum = fma(g, xhat, gx_sum);
    }
    const float g_mean = is_rms() ? 0.0 : sum_of_group(g_sum) / float(p.C), gx_mean = sum_of_group(gx_sum) / float(p.C);
    for (uint c = i; c < p.C; c += W) {
        const uint at = row + c;
        const float g = AT(dy, at) * AT(gain, c), xhat = (AT(x, at) - m) * s;
        const float d = s * (g - g_mean - xhat * gx_mean);
        PUT(dx, at, d);
    }
}
