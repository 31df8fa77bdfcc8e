// norm_backward_weight.comp for devices that are CPUs: four columns per invocation.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(0, dy)            // (R,C)
TEXELS(1, x)             // (R,C)
TENSOR(2, float, mean);  // (R)
TENSOR(3, float, rstd);  // (R)
FOURS(5, sums)           // (ceil(R/D),2,C)

void main() {
    const uint blocks = (p.C + 4 * W - 1) / (4 * W), chunk = group() / blocks;
    const uint c = 4 * (group() % blocks * W + gl_LocalInvocationIndex);
    if (c >= p.C || chunk * D >= p.B * p.T) return;
    vec4 gain = vec4(0.0), bias = vec4(0.0);
    for (uint r = chunk * D; r < min((chunk + 1) * D, p.B * p.T); ++r) {
        const vec4 d = dy(r, p.C, c, p.C);
        gain = fma(d, (x(r, p.C, c, p.C) - AT(2, mean, r)) * AT(3, rstd, r), gain);
        bias += d;
    }
    const uint row = chunk * 2 * p.C;
    put_sums(row + c, row + p.C, gain);
    put_sums(row + p.C + c, row + 2 * p.C, bias);
}
