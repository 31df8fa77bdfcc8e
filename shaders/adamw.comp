// m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,
// w = w (1 - lr decay) - lr (m / correction1) / (sqrt(v / correction2) + eps), with decay where D is 1. Of all but stats only
// elements `begin` to `end` are bound. One invocation per element.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, float, g);      // (C)
TENSOR(1, readonly restrict, float, stats);  // (2): norm, factor
TENSOR(5, restrict, float, w);               // (C)
TENSOR(6, restrict, float, m);               // (C)
TENSOR(7, restrict, float, v);               // (C)

void main() {
    const uint i = group() * W + gl_LocalInvocationIndex;
    if (i >= p.end - p.begin || AT(1, stats, 1) == 0.0) return;
    const float gi = AT(0, g, i) * AT(1, stats, 1), beta1 = step_values.beta1, beta2 = step_values.beta2;
    const float mi = fma(1.0 - beta1, gi, beta1 * AT(6, m, i)), vi = fma((1.0 - beta2) * gi, gi, beta2 * AT(7, v, i));
    AT(6, m, i) = mi;
    AT(7, v, i) = vi;
    const float wi = AT(5, w, i), rate = D == 1 ? step_values.lr * step_values.weight_decay : 0.0;
    const float change = mi / step_values.correction1 / (sqrt(vi / step_values.correction2) + step_values.eps);
    AT(5, w, i) = fma(-rate, wi, wi) - step_values.lr * change;
}
