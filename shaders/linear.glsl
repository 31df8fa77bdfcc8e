// The tensors of linear and its epilogue. w (N,C) is bound from row `begin` on.
#include "activations.glsl"

ACTIVATION_IN(Linear_x, readonly restrict, x)                 // (R,C)
TENSOR(Linear_w, readonly restrict, uint, w);                 // (N,C)
TENSOR(Linear_b, readonly restrict, float, b);                // (N)
TENSOR(Linear_residual, readonly restrict, float, residual);  // (R,N)
ACTIVATION_OUT(Linear_y, writeonly restrict, y)               // (R,N)
ACTIVATION_OUT(Linear_pre, writeonly restrict, pre)           // (R,N)

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
        if (HAS(b) && q < count) sums[q] += AT(b, n + q);
    if (HAS(pre)) put_vec2_pre(i, sums, count);
    for (uint q = 0; q < 2; ++q) {
        if (q >= count) continue;
        sums[q] = activate(kAct, sums[q]) * dropout_factor(i + q);
        if (HAS(residual)) sums[q] += AT(residual, i + q);
    }
    put_vec2_y(i, sums, count);
}
