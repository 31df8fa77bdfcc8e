// dlogits[r,v] = dlogp[r] ([v = target] - p_v) - dentropy[r] p_v (log p_v + entropy[r]) with p = softmax(logits[r]); 0 where the
// target is kIgnore. Without dentropy its term is 0. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(LogProbBackward_logits, readonly, float, logits);               // (R,V)
TENSOR(LogProbBackward_targets, readonly restrict, int, targets);      // (R)
TENSOR(LogProbBackward_dlogp, readonly restrict, float, dlogp);        // (R)
TENSOR(LogProbBackward_entropy, readonly restrict, float, entropy);    // (R)
TENSOR(LogProbBackward_dentropy, readonly restrict, float, dentropy);  // (R)
TENSOR(LogProbBackward_dlogits, writeonly, float, dlogits);            // (R,V), may be logits

#include "softmax.glsl"

void main() {
    const uint r = group();
    if (r >= live_rows()) return;
    const int target = AT(targets, r);
    const float lse = log_sum_exp(r), factor = -AT(dlogp, r);
    if (!HAS(dentropy)) {
        STORE_GRADIENT(r, lse, target, 1.0, 0.0, factor)
        return;
    }
    const float h = AT(entropy, r), dh = AT(dentropy, r);
    for (uint v = gl_LocalInvocationIndex; v < p.N; v += W) {
        const float log_p = log_softmax(AT(logits, r * p.N + v)), softmax = exp_of(log_p);
        const float d = factor * (softmax - (int(v) == target ? 1.0 : 0.0)) - dh * (plogp(log_p) + softmax * h);
        AT(dlogits, r * p.N + v) = target == kIgnore ? 0.0 : d;
    }
}
