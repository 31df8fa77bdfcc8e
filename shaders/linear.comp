// y[r,n] = residual[r,n] + dropout(act(sum_c x[r,c] w[n,c] + b[n])) for n in [begin, end).
#version 450
#include "common.glsl"
#include "linear.glsl"

#define LEFT(r, c) get_x((r) * p.C + (c))
#define RIGHT(c, n) w_number(TYPE(w), SHIFT(w), (n) * p.C + (c))
#define RIGHT_RUNS in_blocks(TYPE(w))
#define RIGHT_RUN(c, n) numbers_of(TYPE(w), w_run(TYPE(w), SHIFT(w), ((n) * p.C + (c)) / 8))
#define STORE(r, n, sums, count) store(r, p.begin + (n), sums, count)
#define LEFT_ROWS true
#define RIGHT_ROWS true
#include "linear_gemm.glsl"

void main() { gemm(live_rows(), p.end - p.begin, p.C); }
