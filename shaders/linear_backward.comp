// dx[r,c] = sum_n dpre[r,n] w[n,c] over n in [begin, end); w, of any type, is bound from row `begin` on.
#version 450
#include "common.glsl"

TENSOR(LinearBackward_dpre, readonly restrict, float, dpre);  // (R,N)
TENSOR(LinearBackward_w, readonly restrict, uint, w);         // (N,C)
TENSOR(LinearBackward_dx, restrict, float, dx);               // (R,C)

#define NUMBER w_number
#define RUN w_run
#define DATA(i) w_data[i]
#include "number.glsl"

void store(uint i, vec2 sums, uint count) {
    for (uint q = 0; q < 2; ++q)
        if (q < count) PUT(dx, i + q, sums[q]);
}

#define LEFT(r, n) AT(dpre, (r) * p.N + p.begin + (n))
#define RIGHT(n, c) w_number(TYPE(w), SHIFT(w), (n) * p.C + (c))
#define RIGHT_RUNS in_blocks(TYPE(w))
#define RIGHT_RUN(n, c) numbers_of(TYPE(w), w_run(TYPE(w), SHIFT(w), ((n) * p.C + (c)) / 8))
#define STORE(r, c, sums, count) store((r) * p.C + (c), sums, count)
#define LEFT_ROWS true
#define RIGHT_ROWS false
#include "linear_gemm.glsl"

void main() { gemm(live_rows(), p.C, p.end - p.begin); }
