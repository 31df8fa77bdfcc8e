// d = g + decay w, with or without decay,  v = v + d^2,  w = w - lr d / (sqrt(v) + eps). Only elements `begin` to `end` are bound,
// except of stats. One invocation per element.
#version 450
#include "common.glsl"

TENSOR(Adagrad_g, readonly restrict, float, g);          // (C)
TENSOR(Adagrad_stats, readonly restrict, float, stats);  // (2): norm, factor
TENSOR(Adagrad_w, restrict, float, w);                   // (C)
TENSOR(Adagrad_v, restrict, float, v);                   // (C)

void main() {
    const uint i = group() * W + gl_LocalInvocationIndex;
    if (i >= p.end - p.begin || AT(stats, 1) == 0.0) return;
    const float wi = AT(w, i), decay = has_decay() ? step_values.weight_decay : 0.0;
    const float d = fma(decay, wi, AT(g, i) * AT(stats, 1)), vi = fma(d, d, AT(v, i));
    AT(v, i) = vi;
    AT(w, i) = wi - step_values.lr * p.scale * d / (sqrt(vi) + step_values.eps);
}
