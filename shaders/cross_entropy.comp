// logp[r] = logits[r,target] - log(sum_v exp(logits[r,v])),
// dlogits[r,v] = loss_scale weights[r] (softmax(logits[r])_v - [v = target]); both 0 where the target is kIgnore; predicted[r] is
// the first of the largest. With label smoothing, of_target and of_others instead of 1 and 0. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(CrossEntropy_logits, readonly, float, logits);                // (R,V)
TENSOR(CrossEntropy_targets, readonly restrict, int, targets);       // (R)
TENSOR(CrossEntropy_weights, readonly restrict, float, weights);     // (R)
TENSOR(CrossEntropy_logp, writeonly restrict, float, logp);          // (R)
TENSOR(CrossEntropy_dlogits, writeonly, float, dlogits);             // (R,V), may be logits
TENSOR(CrossEntropy_predicted, writeonly restrict, int, predicted);  // (R)

#include "softmax.glsl"

/// To be called by all invocations.
float sum_of_logits(uint r) {
    float sum = 0.0;
    for (uint v = gl_LocalInvocationIndex; v < p.N; v += W) sum += AT(logits, r * p.N + v);
    return sum_of_group(sum);
}

void main() {
    const uint r = group(), last = p.N - 1;
    if (r >= live_rows()) return;
    const int target = AT(targets, r);
    const float chosen = AT(logits, r * p.N + min(uint(target), last));  // before dlogits may overwrite it
    const float of_others = p.smoothing / float(p.N), of_target = 1.0 - p.smoothing + of_others;
    const float expected = p.smoothing > 0.0 ? (1.0 - p.smoothing) * chosen + of_others * sum_of_logits(r) : chosen;
    const float lse = log_sum_exp(r);
    if (gl_LocalInvocationIndex == 0) {
        AT(logp, r) = target == kIgnore ? 0.0 : expected - lse;
        if (HAS(predicted)) AT(predicted, r) = first_largest < p.N ? int(first_largest) : 0;
    }
    if (!HAS(dlogits)) return;
    const float factor = step_values.loss_scale * (HAS(weights) ? AT(weights, r) : 1.0);
    STORE_GRADIENT(r, lse, target, of_target, of_others, factor)
}
