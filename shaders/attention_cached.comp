// y_r = sum_s softmax_s(q_r . k_s / sqrt(D)) v_s over s <= positions[r] of the cache. One workgroup per row and head.
#version 450
#include "common.glsl"

TENSOR(0, float, qkv);      // (R,3C)
TENSOR(1, int, positions);  // (R)
TENSOR(5, float, y);        // (R,C)

#include "cache.glsl"

uint row = 0, column = 0, cache = 0;  // of the query; of its head; where the head's keys begin

#define QUERY(d) AT(0, qkv, row * 3 * p.C + column + (d))
#define KEY(s, d) CACHED_NUMBER(6, keys, cache + (s) * D + (d))
#define VALUE(s, d) CACHED_NUMBER(7, values, cache + (s) * D + (d))
#include "attend.glsl"

void main() {
    row = group() / p.H;
    if (row >= run_rows()) return;
    const uint head = group() % p.H;
    column = head * D;
    cache = (row / p.T * p.H + head) * p.S * D;
    const Softmax state = attend(uint(AT(1, positions, row)) + 1);
    for (uint d = gl_LocalInvocationIndex; d < D; d += W) AT(5, y, row * p.C + column + d) = sums[d] / state.sum;
}
