// d = g + decay w, with or without decay,  m = momentum m + d (m = d without it),  w = w - lr m. Only elements `begin` to `end` are
// bound, except of stats. One invocation per element.
#version 450
#include "common.glsl"

TENSOR(Sgd_g, readonly restrict, float, g);          // (C)
TENSOR(Sgd_stats, readonly restrict, float, stats);  // (2): norm, factor
TENSOR(Sgd_w, restrict, float, w);                   // (C)
TENSOR(Sgd_m, restrict, float, m);                   // (C)

void main() {
    const uint i = group() * W + gl_LocalInvocationIndex;
    if (i >= p.end - p.begin || AT(stats, 1) == 0.0) return;
    const float wi = AT(w, i), decay = has_decay() ? step_values.weight_decay : 0.0;
    float change = fma(decay, wi, AT(g, i) * AT(stats, 1));
    if (HAS(m)) {
        change = fma(step_values.momentum, AT(m, i), change);
        AT(m, i) = change;
    }
    AT(w, i) = wi - step_values.lr * p.scale * change;
}
