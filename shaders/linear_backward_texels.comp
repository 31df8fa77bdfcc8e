// linear_backward.comp for devices that are CPUs.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(0, dpre)  // (R,N)
TEXELS(1, w)     // (N,C), from row `begin` on
FOURS(5, dx)     // (R,C)

void store(uint r, uint c, vec4 sum) {
    const uint at = r * p.C + c, end = (r + 1) * p.C;
    put_dx(at, end, adds(0) ? get_dx(at, end) + sum : sum);
}

#define LEFT(r, n) dpre(r, p.N, p.begin + (n), p.end)
#define RIGHT(n, c) w(n, p.C, c, p.C)
#define STORE(r, c, four) store(r, c, four)
#define LEFT_ROWS true
#define RIGHT_ROWS false
#include "linear_texels_gemm.glsl"

void main() { gemm(run_rows(), p.C, p.end - p.begin); }
