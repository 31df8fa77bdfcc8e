// P[t,s] = softmax_s(q_t . k_s / sqrt(D)) for s <= t,  y_t = sum_s P[t,s] v_s,  lse[t] = the softmax's log-sum-exp.
// One workgroup per row and head.
#version 450
#include "common.glsl"
#include "log.glsl"

TENSOR(0, float, qkv);  // (R,3C)
TENSOR(5, float, y);    // (R,C)
TENSOR(6, float, lse);  // (B,H,T)

uint row = 0, first = 0, column = 0;  // of the query; of its sequence; of its head

#define QUERY(d) AT(0, qkv, row * 3 * p.C + column + (d))
#define KEY(s, d) AT(0, qkv, (first + (s)) * 3 * p.C + p.C + column + (d))
#define VALUE(s, d) AT(0, qkv, (first + (s)) * 3 * p.C + 2 * p.C + column + (d))
#include "attend.glsl"

void main() {
    row = group() / p.H;
    if (row >= p.B * p.T) return;
    const uint head = group() % p.H, t = row % p.T, i = gl_LocalInvocationIndex;
    first = row - t;
    column = head * D;
    const Softmax state = attend(t + 1);
    for (uint d = i; d < D; d += W) AT(5, y, row * p.C + column + d) = sums[d] / state.sum;
    if (i == 0) AT(6, lse, (row / p.T * p.H + head) * p.T + t) = state.largest + log_of(state.sum);
}
