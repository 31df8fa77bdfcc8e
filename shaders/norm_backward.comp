// With xhat = (x - mean) rstd and g = dy gain:  dx = rstd (g - mean_c(g) - xhat mean_c(g xhat)). One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(0, float, dy);    // (R,C)
TENSOR(1, float, x);     // (R,C)
TENSOR(2, float, gain);  // (C)
TENSOR(3, float, mean);  // (R)
TENSOR(4, float, rstd);  // (R)
TENSOR(5, float, dx);    // (R,C)

void main() {
    const uint r = group(), i = gl_LocalInvocationIndex;
    if (r >= p.B * p.T) return;
    const float m = AT(3, mean, r), s = AT(4, rstd, r);
    float g_sum = 0.0, gx_sum = 0.0;
    for (uint c = i; c < p.C; c += W) {
        const float g = AT(0, dy, r * p.C + c) * AT(2, gain, c);
        g_sum += g;
        gx_sum = fma(g, (AT(1, x, r * p.C + c) - m) * s, gx_sum);
    }
    const float g_mean = sum_of_group(g_sum) / float(p.C), gx_mean = sum_of_group(gx_sum) / float(p.C);
    for (uint c = i; c < p.C; c += W) {
        const uint at = r * p.C + c;
        const float g = AT(0, dy, at) * AT(2, gain, c), xhat = (AT(1, x, at) - m) * s;
        const float d = s * (g - g_mean - xhat * gx_mean);
        AT(5, dx, at) = adds(0) ? AT(5, dx, at) + d : d;
    }
}
