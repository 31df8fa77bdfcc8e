// With the ratio q = exp(logp - old) and d = reference - logp,
// loss[r] = weights[r] (-min(q A, clip(q, 1 - clip_low, 1 + clip_high) A) + beta (e^d - d - 1) - entropy_weight entropy[r]); without
// old the first term is -A logp. 0 where the weight is 0.
#version 450
#include "policy_loss.glsl"

TENSOR(PolicyLoss_entropy, readonly restrict, float, entropy);  // (R)
TENSOR(PolicyLoss_loss, writeonly restrict, float, loss);       // (R)

void main() {
    const uint r = group() * W + gl_LocalInvocationIndex;
    if (r >= live_rows()) return;
    float sum = loss_of(r).loss;
    if (HAS(entropy)) sum -= p.entropy_weight * AT(entropy, r);
    const float weight = AT(weights, r);
    AT(loss, r) = weight == 0.0 ? 0.0 : weight * sum;
}
