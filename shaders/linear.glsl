// The tensors of linear and its epilogue. w (N,C) is bound from row `begin` on.
TENSOR(0, float, x);         // (R,C)
TENSOR(1, uint, w);          // (N,C)
TENSOR(2, float, b);         // (N)
TENSOR(3, float, residual);  // (R,N)
TENSOR(5, float, y);         // (R,N)
TENSOR(6, float, pre);       // (R,N)

#define NUMBER w_number
#define RUN w_run
#define DATA(i) w_data[i]
#include "number.glsl"
#include "activation.glsl"
#include "dropout.glsl"

/// pre[r,n] = sum + b[n],  y[r,n] = residual[r,n] + dropout(act(pre[r,n])).
void store(uint r, uint n, float sum) {
    const uint i = r * p.N + n;
    if (has(2)) sum += AT(2, b, n);
    if (has(6)) AT(6, pre, i) = sum;
    sum = activate(p.act, sum) * dropout_factor(i);
    AT(5, y, i) = has(3) ? AT(3, residual, i) + sum : sum;
}
