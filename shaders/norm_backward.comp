// With xhat = (x - mean) rstd and g = dy gain:  dx = rstd (g - mean_c(g) - xhat mean_c(g xhat)). One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, float, dy);    // (R,C)
TENSOR(1, readonly restrict, float, x);     // (R,C)
TENSOR(2, readonly restrict, float, gain);  // (C)
TENSOR(3, readonly restrict, float, mean);  // (R)
TENSOR(4, readonly restrict, float, rstd);  // (R)
TENSOR(5, restrict, float, dx);             // (R,C)

void main() {
    const uint r = group(), i = gl_LocalInvocationIndex, row = r * p.C, last = p.C - 1;
    if (r >= p.B * p.T) return;
    const float m = AT(3, mean, r), s = AT(4, rstd, r);
    float g_sum = 0.0, gx_sum = 0.0;
    for (uint first = 0; first < p.C; first += W) {
        const uint c = min(first + i, last);
        const float g = only_if(first + i < p.C, AT(0, dy, row + c) * AT(2, gain, c));
        const float xhat = only_if(first + i < p.C, (AT(1, x, row + c) - m) * s);
        g_sum += g;
        gx_sum = fma(g, xhat, gx_sum);
    }
    const float g_mean = sum_of_group(g_sum) / float(p.C), gx_mean = sum_of_group(gx_sum) / float(p.C);
    for (uint c = i; c < p.C; c += W) {
        const uint at = row + c;
        const float g = AT(0, dy, at) * AT(2, gain, c), xhat = (AT(1, x, at) - m) * s;
        const float d = s * (g - g_mean - xhat * gx_mean);
        AT(5, dx, at) = adds(0) ? AT(5, dx, at) + d : d;
    }
}
