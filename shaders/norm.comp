// mean = sum_c x / C,  rstd = 1 / sqrt(sum_c (x - mean)^2 / C + eps),  y = (x - mean) rstd gain + bias. RMS norm has a
// mean of 0. One workgroup per row.
#version 450
#include "common.glsl"
#include "activations.glsl"

TENSOR(Norm_x, readonly restrict, float, x);         // (R,C)
TENSOR(Norm_gain, readonly restrict, float, gain);   // (C)
TENSOR(Norm_bias, readonly restrict, float, bias);   // (C)
ACTIVATION_OUT(Norm_y, writeonly restrict, y)        // (R,C)
TENSOR(Norm_mean, writeonly restrict, float, mean);  // (R)
TENSOR(Norm_rstd, writeonly restrict, float, rstd);  // (R)

void main() {
    const uint r = group(), i = gl_LocalInvocationIndex, row = r * p.C, last = p.C - 1;
    if (r >= live_rows()) return;
    float sum = 0.0, squares = 0.0;
    for (uint first = 0; first < p.C && !is_rms(); first += W) {
        const uint c = first + i;
        sum += only_if(c < p.C, AT(x, row + min(c, last)));
    }
    const float m = is_rms() ? 0.0 : sum_of_group(sum) / float(p.C);
    for (uint first = 0; first < p.C; first += W) {
        const uint c = first + i;
        const float d = only_if(c < p.C, AT(x, row + min(c, last)) - m);
        squares = fma(d, d, squares);
    }
    const float s = 1.0 / sqrt(sum_of_group(squares) / float(p.C) + p.eps);
    for (uint c = 2 * i; c < p.C; c += 2 * W) {
        vec2 two = vec2(0.0);
        for (uint q = 0; q < 2; ++q)
            if (c + q < p.C)
                two[q] = (AT(x, row + c + q) - m) * s * AT(gain, c + q) + (HAS(bias) ? AT(bias, c + q) : 0.0);
        put_vec2_y(row + c, two, p.C - c);
    }
    if (i == 0 && HAS(mean)) AT(mean, r) = m;
    if (i == 0 && HAS(rstd)) AT(rstd, r) = s;
}
