// norm_backward.comp for devices that are CPUs: one invocation per row.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(0, dy)            // (R,C)
TEXELS(1, x)             // (R,C)
TEXELS(2, gain)          // (C)
TENSOR(3, float, mean);  // (R)
TENSOR(4, float, rstd);  // (R)
FOURS(5, dx)             // (R,C)

void main() {
    const uint r = group() * W + gl_LocalInvocationIndex, first = r * p.C, end = first + p.C;
    if (r >= p.B * p.T) return;
    const float m = AT(3, mean, r), s = AT(4, rstd, r);
    vec4 g_sums = vec4(0.0), gx_sums = vec4(0.0);
    for (uint c = 0; c < p.C; c += 4) {
        const vec4 g = get_dy(first + c, end) * get_gain(c, p.C);
        g_sums += g;
        gx_sums = fma(g, (get_x(first + c, end) - m) * s, gx_sums);
    }
    const float g_mean = (g_sums.x + g_sums.y + g_sums.z + g_sums.w) / float(p.C);
    const float gx_mean = (gx_sums.x + gx_sums.y + gx_sums.z + gx_sums.w) / float(p.C);
    for (uint c = 0; c < p.C; c += 4) {
        const uint at = first + c;
        const vec4 g = get_dy(at, end) * get_gain(c, p.C), xhat = (get_x(at, end) - m) * s;
        const vec4 d = s * (g - g_mean - xhat * gx_mean);
        put_dx(at, end, adds(0) ? get_dx(at, end) + d : d);
    }
}
