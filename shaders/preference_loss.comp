// With gain = scales scores - offsets, m = gain[r,0] - gain[r,1] and z = beta m, loss[r] and its derivative d are
// Sigmoid  log(1 + e^-z) + s z, beta (s - sigmoid(-z)) with s = smoothing;  Hinge  max(0, 1 - z), -beta where z < 1;
// Ipo  (m - 1 / (2 beta))^2, 2 (m - 1 / (2 beta));
// dscores[r] = loss_scale d (scales[r,0], -scales[r,1]). All 0 where offsets[r,0] is NaN. One invocation per row.
#version 450
#include "common.glsl"
#include "log.glsl"

TENSOR(PreferenceLoss_scores, readonly restrict, float, scores);     // (R,2)
TENSOR(PreferenceLoss_scales, readonly restrict, float, scales);     // (R,2)
TENSOR(PreferenceLoss_offsets, readonly restrict, float, offsets);   // (R,2)
TENSOR(PreferenceLoss_loss, writeonly restrict, float, loss);        // (R)
TENSOR(PreferenceLoss_dscores, writeonly restrict, float, dscores);  // (R,2)

const uint kHinge = 1, kIpo = 2;

void main() {
    const uint r = group() * W + gl_LocalInvocationIndex, i = 2 * r;
    if (r >= live_rows()) return;
    const vec2 scale = vec2(AT(scales, i), AT(scales, i + 1)), offset = vec2(AT(offsets, i), AT(offsets, i + 1));
    const vec2 gain = fma(scale, vec2(AT(scores, i), AT(scores, i + 1)), -offset);
    const float m = gain.x - gain.y, z = p.beta * m, e = exp_of(-abs(z));
    const uint kind = preference();
    float of_margin = max(-z, 0.0) + log_of(1.0 + e) + p.smoothing * z;
    float d = p.beta * (p.smoothing - (z > 0.0 ? e : 1.0) / (1.0 + e));
    if (kind == kHinge) {
        of_margin = z >= 1.0 ? 0.0 : 1.0 - z;
        d = z >= 1.0 ? 0.0 : -p.beta;
    }
    if (kind == kIpo) {
        const float far = m - 0.5 / p.beta;
        of_margin = far * far;
        d = 2.0 * far;
    }
    d *= step_values.loss_scale;
    const bool counts = !is_nan(offset.x);
    AT(loss, r) = counts ? of_margin : 0.0;
    if (!HAS(dscores)) return;
    AT(dscores, i) = counts ? d * scale.x : 0.0;
    AT(dscores, i + 1) = counts ? -d * scale.y : 0.0;
}
