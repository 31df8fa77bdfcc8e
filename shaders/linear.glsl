// The tensors of linear and its epilogue. w (N,C) is bound from row `begin` on.
ACTIVATION(0, x)             // (R,C)
TENSOR(1, uint, w);          // (N,C)
TENSOR(2, float, b);         // (N)
TENSOR(3, float, residual);  // (R,N)
ACTIVATION(5, y)             // (R,N)
ACTIVATION(6, pre)           // (R,N)

#define NUMBER w_number
#define RUN w_run
#define DATA(i) w_data[i]
#include "number.glsl"
#include "activation.glsl"
#include "dropout.glsl"

/// pre[r,n] = sum + b[n],  y[r,n] = residual[r,n] + dropout(act(pre[r,n])), of two columns, or one if there are no more.
void store(uint r, uint n, vec2 sums, uint count) {
    const uint i = r * p.N + n;
    for (uint q = 0; q < 2; ++q)
        if (has(2) && q < count) sums[q] += AT(2, b, n + q);
    if (has(6)) put_pre(i, sums, count);
    for (uint q = 0; q < 2; ++q) {
        if (q >= count) continue;
        sums[q] = activate(kAct, sums[q]) * dropout_factor(i + q);
        if (kResidual != 0) sums[q] += AT(3, residual, i + q);
    }
    put_y(i, sums, count);
}
