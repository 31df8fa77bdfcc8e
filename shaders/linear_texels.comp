// y[r,n] = residual[r,n] + act(pre[r,n]), pre[r,n] = sum_c x[r,c] w[n,c] + b[n] for n in [begin, end): linear.comp for devices
// that are CPUs and w of floats. Where there is dropout, only pre, into y where there is none: linear_epilogue.comp follows.
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

void main() { gemm(run_rows(), p.end - p.begin, p.C); }
