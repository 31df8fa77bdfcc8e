// linear_backward_weight.comp for devices that are CPUs.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(0, dpre)          // (R,N)
TEXELS(1, x)             // (R,C)
FOURS(5, dw)             // (N,C), from row `begin` on
TENSOR(6, float, db);    // (N)

void store(uint n, uint c, vec4 sum) {
    const uint at = n * p.C + c, end = (n + 1) * p.C;
    put_dw(at, end, adds_weight(0) ? get_dw(at, end) + sum : sum);
}
void store_sum(uint n, float sum) {
    if (has(6)) AT(6, db, n) = adds_weight(1) ? AT(6, db, n) + sum : sum;
}

#define LEFT(r, n) dpre(r, p.N, p.begin + (n), p.end)
#define RIGHT(r, c) x(r, p.C, c, p.C)
#define STORE(n, c, four) store(n, c, four)
#define ROW_SUM(n, sum) store_sum(p.begin + (n), sum)
#define LEFT_ROWS false
#define RIGHT_ROWS false
#include "linear_texels_gemm.glsl"

void main() { gemm(p.end - p.begin, p.C, p.B * p.T); }
