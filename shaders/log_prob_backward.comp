// dlogits[r,v] = dlogp[r] ([v = target] - softmax(logits[r])_v), 0 where the target is kIgnore. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(LogProbBackward_logits, readonly, float, logits);           // (R,V)
TENSOR(LogProbBackward_targets, readonly restrict, int, targets);  // (R)
TENSOR(LogProbBackward_dlogp, readonly restrict, float, dlogp);    // (R)
TENSOR(LogProbBackward_dlogits, writeonly, float, dlogits);        // (R,V), may be logits

#include "softmax.glsl"

void main() {
    const uint r = group();
    if (r >= live_rows()) return;
    const int target = AT(targets, r);
    const float lse = log_sum_exp(r), factor = -AT(dlogp, r);
    STORE_GRADIENT(r, lse, target, 1.0, 0.0, factor)
}
