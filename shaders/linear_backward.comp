// dx[r,c] = sum_n dpre[r,n] w[n,c] over n in [begin, end); w is bound from row `begin` on.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, float, dpre);  // (R,N)
TENSOR(1, readonly restrict, float, w);     // (N,C)
TENSOR(5, restrict, float, dx);             // (R,C)

void store(uint i, vec2 sums, uint count) {
    for (uint q = 0; q < 2; ++q)
        if (q < count) AT(5, dx, i + q) = adds(0) ? AT(5, dx, i + q) + sums[q] : sums[q];
}

#define LEFT(r, n) AT(0, dpre, (r) * p.N + p.begin + (n))
#define RIGHT(n, c) AT(1, w, (n) * p.C + (c))
#define STORE(r, c, sums, count) store((r) * p.C + (c), sums, count)
#define LEFT_ROWS true
#define RIGHT_ROWS false
#include "linear_gemm.glsl"

void main() { gemm(run_rows(), p.C, p.end - p.begin); }
