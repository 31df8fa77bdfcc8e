// dlogp[r], dentropy[r] = loss_scale times the derivatives of policy_loss.comp's loss[r].
#version 450
#include "policy_loss.glsl"

TENSOR(PolicyLoss_dlogp, writeonly restrict, float, dlogp);        // (R)
TENSOR(PolicyLoss_dentropy, writeonly restrict, float, dentropy);  // (R)

void main() {
    const uint r = group() * W + gl_LocalInvocationIndex;
    if (r >= live_rows()) return;
    const float weight = AT(weights, r), scale = weight * step_values.loss_scale;
    if (HAS(dlogp)) AT(dlogp, r) = weight == 0.0 ? 0.0 : scale * loss_of(r).derivative;
    if (HAS(dentropy)) AT(dentropy, r) = weight == 0.0 ? 0.0 : -scale * p.entropy_weight;
}
