// The tensors of linear and its epilogue. w (N,C) is bound from row `begin` on.
#include "activations.glsl"

ACTIVATION_IN(0, readonly restrict, x)          // (R,C)
TENSOR(1, readonly restrict, uint, w);          // (N,C)
TENSOR(2, readonly restrict, float, b);         // (N)
TENSOR(3, readonly restrict, float, residual);  // (R,N)
ACTIVATION_OUT(5, writeonly restrict, y)        // (R,N)
ACTIVATION_OUT(6, writeonly restrict, pre)      // (R,N)

#define NUMBER w_number
#define RUN w_run
#define DATA(i) w_data[i]
#include "number.glsl"
#include "activation.glsl"
#include "dropout.glsl"

/// Stores pre[r,n] = sum + b[n],  y[r,n] = residual[r,n] + dropout(act(pre[r,n])), for `count` columns, at most two.
void store(uint r, uint n, vec2 sums, uint count) {
    const uint i = r * p.N + n;
    for (uint q = 0; q < 2; ++q)
        if (has(2) && q < count) sums[q] += AT(2, b, n + q);
    if (has(6)) put_vec2_pre(i, sums, count);
    for (uint q = 0; q < 2; ++q) {
        if (q >= count) continue;
        sums[q] = activate(kAct, sums[q]) * dropout_factor(i + q);
        if (has(3)) sums[q] += AT(3, residual, i + q);
    }
    put_vec2_y(i, sums, count);
}
