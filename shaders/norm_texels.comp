// norm.comp for devices that are CPUs: one invocation per row.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(0, x)            // (R,C)
TEXELS(1, gain)         // (C)
TEXELS(2, bias)         // (C)
FOURS(5, y)             // (R,C)
TENSOR(6, float, mean);  // (R)
TENSOR(7, float, rstd);  // (R)

void main() {
    const uint r = group() * W + gl_LocalInvocationIndex, first = r * p.C, end = first + p.C;
    if (r >= run_rows()) return;
    vec4 sums = vec4(0.0), squares = vec4(0.0);
    for (uint i = first; i < end; i += 4) sums += get_x(i, end);
    const float m = (sums.x + sums.y + sums.z + sums.w) / float(p.C);
    for (uint i = first; i < end; i += 4) {
        const vec4 d = first_of(get_x(i, end) - m, end - i);
        squares = fma(d, d, squares);
    }
    const float s = 1.0 / sqrt((squares.x + squares.y + squares.z + squares.w) / float(p.C) + p.eps);
    for (uint c = 0; c < p.C; c += 4) {
        const vec4 scaled = (get_x(first + c, end) - m) * s * get_gain(c, p.C);
        put_y(first + c, end, has(2) ? scaled + get_bias(c, p.C) : scaled);
    }
    if (!has(6)) return;
    AT(6, mean, r) = m;
    AT(7, rstd, r) = s;
}
