// mean = sum_c x / C,  rstd = 1 / sqrt(sum_c (x - mean)^2 / C + eps),  y = (x - mean) rstd gain + bias. One workgroup per row.
#version 450
#include "common.glsl"
#include "activations.glsl"

TENSOR(0, readonly restrict, float, x);      // (R,C)
TENSOR(1, readonly restrict, float, gain);   // (C)
TENSOR(2, readonly restrict, float, bias);   // (C)
ACTIVATION_OUT(5, writeonly restrict, y)     // (R,C)
TENSOR(6, writeonly restrict, float, mean);  // (R)
TENSOR(7, writeonly restrict, float, rstd);  // (R)

void main() {
    const uint r = group(), i = gl_LocalInvocationIndex, row = r * p.C, last = p.C - 1;
    if (r >= run_rows()) return;
    float sum = 0.0, squares = 0.0;
    for (uint first = 0; first < p.C; first += W) {
        const uint c = first + i;
        sum += only_if(c < p.C, AT(0, x, row + min(c, last)));
    }
    const float m = sum_of_group(sum) / float(p.C);
    for (uint first = 0; first < p.C; first += W) {
        const uint c = first + i;
        const float d = only_if(c < p.C, AT(0, x, row + min(c, last)) - m);
        squares = fma(d, d, squares);
    }
    const float s = 1.0 / sqrt(sum_of_group(squares) / float(p.C) + p.eps);
    for (uint c = 2 * i; c < p.C; c += 2 * W) {
        vec2 two = vec2(0.0);
        for (uint q = 0; q < 2; ++q)
            if (c + q < p.C)
                two[q] = (AT(0, x, row + c + q) - m) * s * AT(1, gain, c + q) + (has(2) ? AT(2, bias, c + q) : 0.0);
        put_vec2_y(row + c, two, p.C - c);
    }
    if (i == 0 && has(6)) {
        AT(6, mean, r) = m;
        AT(7, rstd, r) = s;
    }
}
