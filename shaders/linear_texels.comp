// pre[r,n] = sum_c x[r,c] w[n,c] + b[n] for n in [begin, end), into y where there is no pre: linear.comp without its end, which
// linear_epilogue.comp is, for devices that are CPUs and w of floats.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(0, x)     // (R,C)
TEXELS(1, w)     // (N,C), from row `begin` on
TEXELS(2, bias)  // (1,N)
FOURS(5, y)      // (R,N)
FOURS(6, pre)    // (R,N)

void store(uint r, uint n, vec4 sum) {
    if (has(2)) sum += bias(0, p.N, n, p.end);
    if (has(6))
        put_pre(r * p.N + n, r * p.N + p.end, sum);
    else
        put_y(r * p.N + n, r * p.N + p.end, sum);
}

#define LEFT(r, c) x(r, p.C, c, p.C)
#define RIGHT(n, c) w(n, p.C, c, p.C)
#define STORE(r, n, four) store(r, p.begin + (n), four)
#define LEFT_ROWS true
#define RIGHT_ROWS true
#include "linear_texels_gemm.glsl"

void main() { gemm(run_rows(), p.end - p.begin, p.C); }
