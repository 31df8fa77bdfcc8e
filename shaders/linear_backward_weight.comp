// dw[n,c] = sum_r dpre[r,n] x[r,c] for n in [begin, end); dw is bound from row `begin` on;  db[n] = sum_r dpre[r,n].
#version 450
#include "common.glsl"
#include "activations.glsl"

TENSOR(0, readonly restrict, float, dpre);  // (R,N)
ACTIVATION_IN(1, readonly restrict, x)      // (R,C)
TENSOR(5, restrict, float, dw);             // (N,C)
TENSOR(6, restrict, float, db);             // (N)

void store(uint i, vec2 sums, uint count) {
    for (uint q = 0; q < 2; ++q)
        if (q < count) AT(5, dw, i + q) = adds_weight(0) ? AT(5, dw, i + q) + sums[q] : sums[q];
}
void store_sum(uint n, float sum) {
    if (has(6)) AT(6, db, n) = adds_weight(1) ? AT(6, db, n) + sum : sum;
}

#define LEFT(n, r) AT(0, dpre, (r) * p.N + p.begin + (n))
#define RIGHT(r, c) get_x((r) * p.C + (c))
#define STORE(n, c, sums, count) store((n) * p.C + (c), sums, count)
#define ROW_SUM(n, sum) store_sum(p.begin + (n), sum)
#define LEFT_ROWS false
#define RIGHT_ROWS false
#include "linear_gemm.glsl"

void main() { gemm(p.end - p.begin, p.C, p.B * p.T); }
