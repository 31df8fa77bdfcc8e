// m = momentum m + g (m = g without it),  w = w (1 - lr decay) - lr m, with decay where D is 1. Of all but stats only
// elements `begin` to `end` are bound. One invocation per element.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, float, g);      // (C)
TENSOR(1, readonly restrict, float, stats);  // (2): norm, factor
TENSOR(5, restrict, float, w);               // (C)
TENSOR(6, restrict, float, m);               // (C)

void main() {
    const uint i = group() * W + gl_LocalInvocationIndex;
    if (i >= p.end - p.begin || AT(1, stats, 1) == 0.0) return;
    float change = AT(0, g, i) * AT(1, stats, 1);
    if (has(6)) {
        change = fma(step_values.momentum, AT(6, m, i), change);
        AT(6, m, i) = change;
    }
    const float wi = AT(5, w, i), rate = D == 1 ? step_values.lr * step_values.weight_decay : 0.0;
    AT(5, w, i) = fma(-rate, wi, wi) - step_values.lr * change;
}
