// logp[r] = logits[r,target] - log(sum_v exp(logits[r,v])),
// dlogits[r,v] = loss_scale weights[r] (softmax(logits[r])_v - [v = target]); both 0 where the target is kIgnore; predicted[r] is
// the first of the largest; entropy[r] is that of the softmax, 0 for kIgnore, too. With label smoothing, of_target and of_others
// instead of 1 and 0. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(CrossEntropy_logits, readonly, float, logits);                // (R,V)
TENSOR(CrossEntropy_targets, readonly restrict, int, targets);       // (R)
TENSOR(CrossEntropy_weights, readonly restrict, float, weights);     // (R)
TENSOR(CrossEntropy_logp, writeonly restrict, float, logp);          // (R)
TENSOR(CrossEntropy_dlogits, writeonly, float, dlogits);             // (R,V), may be logits
TENSOR(CrossEntropy_predicted, writeonly restrict, int, predicted);  // (R)
TENSOR(CrossEntropy_entropy, writeonly restrict, float, entropy);    // (R)

#include "softmax.glsl"

/// Sum over v of logits[r,v] - x. To be called by all invocations.
float sum_of_differences(uint r, float x) {
    float sum = 0.0;
    for (uint first = 0; first < p.N; first += W) {
        const uint v = first + gl_LocalInvocationIndex;
        sum += only_if(v < p.N, AT(logits, r * p.N + min(v, p.N - 1)) - x);
    }
    return sum_of_group(sum);
}

/// -sum_v p log p. To be called by all invocations.
float entropy_of(uint r) {
    float sum = 0.0;
    for (uint first = 0; first < p.N; first += W) {
        const uint v = first + gl_LocalInvocationIndex;
        sum -= only_if(v < p.N, plogp(log_softmax(AT(logits, r * p.N + min(v, p.N - 1)))));
    }
    return sum_of_group(sum);
}

void main() {
    const uint r = group(), last = p.N - 1;
    if (r >= live_rows()) return;
    const int target = AT(targets, r);
    const float chosen = AT(logits, r * p.N + min(uint(target), last));  // before dlogits may overwrite it
    const float lse = log_sum_exp(r);
    const float of_others = p.smoothing / float(p.N), of_target = 1.0 - p.smoothing + of_others;
    float expected = chosen - lse;
    if (p.smoothing > 0.0) expected = (1.0 - p.smoothing) * expected + of_others * sum_of_differences(r, lse);
    const float h = HAS(entropy) ? entropy_of(r) : 0.0;
    if (gl_LocalInvocationIndex == 0) {
        AT(logp, r) = target == kIgnore ? 0.0 : expected;
        if (HAS(entropy)) AT(entropy, r) = target == kIgnore ? 0.0 : h;
        if (HAS(predicted)) AT(predicted, r) = first_largest < p.N ? int(first_largest) : 0;
    }
    if (!HAS(dlogits)) return;
    const float factor = step_values.loss_scale * (HAS(weights) ? AT(weights, r) : 1.0);
    STORE_GRADIENT(r, lse, target, of_target, of_others, factor)
}
