// y[r,n] = residual[r,n] + act(pre[r,n]), pre[r,n] = sum_c x[r,c] w[n,c] + b[n] for n in [begin, end): linear.comp for devices
// that are CPUs, w of floats, or in blocks and few rows. Where there is dropout, only pre, into y where there is none:
// linear_epilogue.comp follows.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(0, x)         // (R,C)
TEXELS(1, w)         // (N,C), from row `begin` on
TEXELS(2, bias)      // (1,N)
TEXELS(3, residual)  // (R,N)
FOURS(5, y)          // (R,N)
FOURS(6, pre)        // (R,N)

#include "activation.glsl"

void store(uint r, uint n, vec4 sum) {
    if (has(2)) sum += bias(0, p.N, n, p.end);
    const uint at = r * p.N + n, end = r * p.N + p.end;
    if ((kParts & 2) != 0) put_pre(at, end, sum);
    if ((kParts & 1) == 0) return;
    for (uint q = 0; q < 4; ++q) sum[q] = activate(kAct, sum[q]);
    put_y(at, end, kResidual != 0 ? get_residual(at, end) + sum : sum);
}

#define LEFT(r, c) x(r, p.C, c, p.C)
#define RIGHT(n, c) w(n, p.C, c, p.C)
#define STORE(r, n, four) store(r, p.begin + (n), four)
#define LEFT_ROWS true
#define RIGHT_ROWS true
#include "linear_texels_gemm.glsl"

#define NUMBER w_number
#define RUN w_run
#define DATA(i) texel_bits(w_texels, i)
#include "number.glsl"

/// The same product of D rows and w in blocks. Every invocation computes four columns.
void few_rows(uint R, uint N, uint C) {
    const uint n = 4 * (group() * W + gl_LocalInvocationIndex);
    vec4 sums[D];
    for (uint r = 0; r < D; ++r) sums[r] = vec4(0.0);
    for (uint c = 0; c < C; c += 8) {
        vec4 low[D], high[D];
        for (uint r = 0; r < D; ++r) {
            low[r] = LEFT(r, c);
            high[r] = LEFT(r, c + 4);
        }
        for (uint b = 0; b < 4; ++b) {
            const Run run = w_run(kType, p.shift[1], (min(n + b, N - 1) * C + c) / 8);
            for (uint r = 0; r < D; ++r) sums[r][b] += product(kType, run, low[r], high[r]);
        }
    }
    for (uint r = 0; r < D; ++r)
        if (r < R && n < N) STORE(r, n, sums[r]);
}

void main() {
    if (in_blocks(kType))
        few_rows(run_rows(), p.end - p.begin, p.C);
    else
        gemm(run_rows(), p.end - p.begin, p.C);
}
