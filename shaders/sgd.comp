// m = momentum m + g (m = g without it),  w = w (1 - lr decay) - lr m, with or without decay. Only elements `begin` to `end`
// are bound, except of stats. One invocation per element.
#version 450
#include "common.glsl"

TENSOR(Sgd_g, readonly restrict, float, g);          // (C)
TENSOR(Sgd_stats, readonly restrict, float, stats);  // (2): norm, factor
TENSOR(Sgd_w, restrict, float, w);                   // (C)
TENSOR(Sgd_m, restrict, float, m);                   // (C)

void main() {
    const uint i = group() * W + gl_LocalInvocationIndex;
    if (i >= p.end - p.begin || AT(stats, 1) == 0.0) return;
    float change = AT(g, i) * AT(stats, 1);
    if (HAS(m)) {
        change = fma(step_values.momentum, AT(m, i), change);
        AT(m, i) = change;
    }
    const float wi = AT(w, i), rate = has_decay() ? step_values.lr * step_values.weight_decay : 0.0;
    AT(w, i) = fma(-rate, wi, wi) - step_values.lr * change;
}
