// loss[r] = mean over n of (v - t)^2, or with old of max((v - t)^2, (clip(v, old - clip_low, old + clip_high) - t)^2), or with
// binary of max(v, 0) - v t + log(1 + exp(-|v|)), and its gradient dvalues[r,n] = loss_scale weights[r] / N times 2 (v - t), or 0
// where the second square is the larger one, or sigmoid(v) - t; all 0 where the first target is NaN. One workgroup per row.
#version 450
#include "common.glsl"
#include "log.glsl"

TENSOR(ValueLoss_values, readonly, float, values);             // (R,N)
TENSOR(ValueLoss_targets, readonly restrict, float, targets);  // (R,N)
TENSOR(ValueLoss_weights, readonly restrict, float, weights);  // (R)
TENSOR(ValueLoss_old, readonly restrict, float, old);          // (R,N)
TENSOR(ValueLoss_loss, writeonly restrict, float, loss);       // (R)
TENSOR(ValueLoss_dvalues, writeonly, float, dvalues);          // (R,N), may be values

void main() {
    const uint r = group(), row = r * p.N;
    if (r >= live_rows()) return;
    const bool counts = !is_nan(AT(targets, row));
    const float share = 1.0 / float(p.N), factor = step_values.loss_scale * (HAS(weights) ? AT(weights, r) : 1.0) * share;
    float sum = 0.0;
    for (uint first = 0; first < p.N; first += W) {
        const uint n = first + gl_LocalInvocationIndex, at = row + min(n, p.N - 1);
        const float v = AT(values, at), t = AT(targets, at), e = exp_of(-abs(v));
        float squared = (v - t) * (v - t), d = 2.0 * (v - t);
        if (HAS(old)) {
            const float o = AT(old, at), held = is_nan(v) ? v : clamp(v, o - p.clip_low, o + p.clip_high);
            const float bound = (held - t) * (held - t);
            const float share = squared == bound ? 0.5 : squared < bound ? 0.0 : 1.0;
            d *= v != held ? share : 1.0;
            squared = squared < bound ? bound : squared;
        }
        const float binary = max(v, 0.0) - v * t + log_of(1.0 + e);
        sum += only_if(n < p.N, is_binary() ? binary : squared);
        if (is_binary()) d = mix(1.0, e, v < 0.0) / (1.0 + e) - t;
        if (HAS(dvalues) && n < p.N) AT(dvalues, at) = counts ? factor * d : 0.0;
    }
    sum = sum_of_group(sum);
    if (gl_LocalInvocationIndex == 0) AT(loss, r) = counts ? sum * share : 0.0;
}
