// linear_few_rows.comp for devices that are CPUs and w in blocks, as linear_texels.comp. Every invocation computes four columns.
#version 450
#include "common.glsl"
#include "texels.glsl"
#include "words.glsl"
#include "linear_texels.glsl"

void main() {
    const uint n = 4 * (group() * W + gl_LocalInvocationIndex), N = p.end - p.begin, R = run_rows();
    vec4 sums[D];
    for (uint r = 0; r < D; ++r) sums[r] = vec4(0.0);
    for (uint c = 0; c < p.C; c += 8) {
        vec4 low[D], high[D];
        for (uint r = 0; r < D; ++r) {
            low[r] = x(r, p.C, c, p.C);
            high[r] = x(r, p.C, c + 4, p.C);
        }
        for (uint b = 0; b < 4; ++b) {
            const Run run = w_run(kType, p.shift[1], (min(n + b, N - 1) * p.C + c) / 8);
            for (uint r = 0; r < D; ++r) sums[r][b] += product(kType, run, low[r], high[r]);
        }
    }
    for (uint r = 0; r < D; ++r)
        if (r < R && n < N) store(r, p.begin + n, sums[r]);
}
