// dw[n,c] = sum_r dpre[r,n] x[r,c] for n in [begin, end); dw is bound from row `begin` on;  db[n] = sum_r dpre[r,n].
#version 450
#include "common.glsl"
#include "activations.glsl"

TENSOR(LinearBackwardWeight_dpre, readonly restrict, float, dpre);  // (R,N)
ACTIVATION_IN(LinearBackwardWeight_x, readonly restrict, x)         // (R,C)
TENSOR(LinearBackwardWeight_dw, restrict, float, dw);               // (N,C)
TENSOR(LinearBackwardWeight_db, restrict, float, db);               // (N)

void store(uint i, vec2 sums, uint count) {
    for (uint q = 0; q < 2; ++q)
        if (q < count) PUT(dw, i + q, sums[q]);
}
void store_sum(uint n, float sum) {
    if (HAS(db)) PUT(db, n, sum);
}

#define LEFT(n, r) AT(dpre, (r) * p.N + p.begin + (n))
#define RIGHT(r, c) get_x((r) * p.C + (c))
#define STORE(n, c, sums, count) store((n) * p.C + (c), sums, count)
#define ROW_SUM(n, sum) store_sum(p.begin + (n), sum)
#define LEFT_ROWS false
#define RIGHT_ROWS false
#include "linear_gemm.glsl"

void main() { gemm(p.end - p.begin, p.C, live_rows()); }
