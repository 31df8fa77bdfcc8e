// mean = sum_c x / C,  rstd = 1 / sqrt(sum_c (x - mean)^2 / C + eps),  y = (x - mean) rstd gain + bias. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(0, float, x);     // (R,C)
TENSOR(1, float, gain);  // (C)
TENSOR(2, float, bias);  // (C)
ACTIVATION(5, y)         // (R,C)
TENSOR(6, float, mean);  // (R)
TENSOR(7, float, rstd);  // (R)

void main() {
    const uint r = group(), i = gl_LocalInvocationIndex;
    if (r >= run_rows()) return;
    float sum = 0.0, squares = 0.0;
    for (uint c = i; c < p.C; c += W) sum += AT(0, x, r * p.C + c);
    const float m = sum_of_group(sum) / float(p.C);
    for (uint c = i; c < p.C; c += W) {
        const float d = AT(0, x, r * p.C + c) - m;
        squares = fma(d, d, squares);
    }
    const float s = 1.0 / sqrt(sum_of_group(squares) / float(p.C) + p.eps);
    for (uint c = 2 * i; c < p.C; c += 2 * W) {
        vec2 two = vec2(0.0);
        for (uint q = 0; q < 2; ++q)
            if (c + q < p.C)
                two[q] = (AT(0, x, r * p.C + c + q) - m) * s * AT(1, gain, c + q) + (has(2) ? AT(2, bias, c + q) : 0.0);
        put_y(r * p.C + c, two, p.C - c);
    }
    if (i == 0 && has(6)) {
        AT(6, mean, r) = m;
        AT(7, rstd, r) = s;
    }
}
