// m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,
// w = w (1 - lr decay) - lr (m / correction1) / (sqrt(v / correction2) + eps), with or without decay; with l2, g + decay w instead
// of g and no decay in the last line. Only elements `begin` to `end` are bound, except of stats. One invocation per element.
#version 450
#include "common.glsl"

TENSOR(AdamW_g, readonly restrict, float, g);          // (C)
TENSOR(AdamW_stats, readonly restrict, float, stats);  // (2): norm, factor
TENSOR(AdamW_w, restrict, float, w);                   // (C)
TENSOR(AdamW_m, restrict, float, m);                   // (C)
TENSOR(AdamW_v, restrict, float, v);                   // (C)

void main() {
    const uint i = group() * W + gl_LocalInvocationIndex;
    if (i >= p.end - p.begin || AT(stats, 1) == 0.0) return;
    const float wi = AT(w, i), decay = has_decay() ? step_values.weight_decay : 0.0;
    const float gi = fma(is_l2() ? decay : 0.0, wi, AT(g, i) * AT(stats, 1));
    const float beta1 = step_values.beta1, beta2 = step_values.beta2;
    const float mi = fma(1.0 - beta1, gi, beta1 * AT(m, i)), vi = fma((1.0 - beta2) * gi, gi, beta2 * AT(v, i));
    AT(m, i) = mi;
    AT(v, i) = vi;
    const float lr = step_values.lr * p.scale, rate = is_l2() ? 0.0 : lr * decay;
    const float change = mi / step_values.correction1 / (sqrt(vi / step_values.correction2) + step_values.eps);
    AT(w, i) = fma(-rate, wi, wi) - lr * change;
}
