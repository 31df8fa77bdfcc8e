// y[r,n] = residual[r,n] + act(pre[r,n]), pre[r,n] = sum_c x[r,c] w[n,c] + b[n] for n in [begin, end): linear.comp for devices
// that are CPUs and w of floats. Where there is dropout, only pre, into y where there is none: linear_epilogue.comp follows.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(1, w)  // (N,C), from row `begin` on
#include "linear_texels.glsl"

#define LEFT(r, c) x(r, p.C, c, p.C)
#define RIGHT(n, c) w(n, p.C, c, p.C)
#define STORE(r, n, four) store(r, p.begin + (n), four)
#define LEFT_ROWS true
#define RIGHT_ROWS true
#include "linear_texels_gemm.glsl"

void main() { gemm(run_rows(), p.end - p.begin, p.C); }
