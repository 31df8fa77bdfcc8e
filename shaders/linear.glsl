// The tensors of linear and its epilogue. w (N,C) is bound from row `begin` on.
TENSOR(0, float, x);         // (R,C)
TENSOR(1, uint, w);        // (N,C)
TENSOR(2, float, b);         // (N)
TENSOR(3, float, residual);  // (R,N)
TENSOR(5, float, y);         // (R,N)
TENSOR(6, float, pre);       // (R,N)

#define NUMBER w_number
#define DATA w_data
#include "number.glsl"

/// x/2 (1 + tanh u) = x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3).
float gelu_tanh(float x) {
    x = max(x, -9.5);
    const float c = min(x, 9.5);
    return x / (1.0 + exp_of(c * fma(c * c, -1.59576912 * 0.044715, -1.59576912)));
}

/// x (1 - Q(|x|)) or x Q(|x|), Q the probability beyond: exp(-x^2/2) P(t), t = 1 / (1 + |x|/4).
float gelu_erf(float x) {
    const float a = min(abs(x), 13.0), t = 1.0 / fma(a, 0.25, 1.0);
    float q = -9.534545522e-02;
    q = fma(q, t, 3.586817160e-01);
    q = fma(q, t, -2.989344661e-01);
    q = fma(q, t, 3.124874975e-01);
    q = fma(q, t, 7.867533445e-03);
    q = fma(q, t, 1.169706859e-01);
    q = fma(q, t, 9.827247482e-02);
    q *= t * exp_of(a * a * -0.5);
    return x > 0.0 ? x - x * q : -a * q;
}

/// pre[r,n] = sum + b[n],  y[r,n] = residual[r,n] + act(pre[r,n]).
void store(uint r, uint n, float sum) {
    const uint i = r * p.N + n;
    if (has(2)) sum += AT(2, b, n);
    if (has(6)) AT(6, pre, i) = sum;
    if (p.act == 1) sum = gelu_tanh(sum);
    if (p.act == 2) sum = gelu_erf(sum);
    if (p.act == 3) sum = max(sum, 0.0);
    AT(5, y, i) = has(3) ? AT(3, residual, i) + sum : sum;
}
