// What policy_loss.comp and policy_loss_backward.comp have in common: one invocation per row. A shader may bind eight buffers, which
// is too few for both at once.
#include "common.glsl"

TENSOR(PolicyLoss_logp, readonly restrict, float, logp);              // (R)
TENSOR(PolicyLoss_old, readonly restrict, float, old);                // (R)
TENSOR(PolicyLoss_reference, readonly restrict, float, reference);    // (R)
TENSOR(PolicyLoss_advantages, readonly restrict, float, advantages);  // (R)
TENSOR(PolicyLoss_weights, readonly restrict, float, weights);        // (R)

/// A loss and its derivative by logp.
struct Loss {
    float loss, derivative;
};

/// -min(r A, clip(r) A) with r = exp(x), and its derivative by x.
Loss clipped(float x, float A) {
    const float r = exp_of(x), held = is_nan(r) ? r : clamp(r, 1.0 - p.clip_low, 1.0 + p.clip_high);
    const float free = r * A, bound = held * A;
    const bool outside = r != held;
    const float share = outside && free == bound ? 0.5 : 1.0;
    return Loss(-(bound < free ? bound : free), outside && free > bound ? 0.0 : -share * free);
}

/// k = e^d - d - 1, where d is small by its series, and e^d - 1.
struct Divergence {
    float k, slope;
};
Divergence divergence(float d) {
    float y = 1.0 / 40320.0;
    y = fma(y, d, 1.0 / 5040.0);
    y = fma(y, d, 1.0 / 720.0);
    y = fma(y, d, 1.0 / 120.0);
    y = fma(y, d, 1.0 / 24.0);
    y = fma(y, d, 1.0 / 6.0);
    y = fma(y, d, 0.5);
    const float series = d * d * y, more = exp_of(d) - 1.0;
    return abs(d) < 0.5 ? Divergence(series, series + d) : Divergence(more - d, more);
}

/// Of row r, without its weight and entropy.
Loss loss_of(uint r) {
    const float A = AT(advantages, r), l = AT(logp, r);
    Loss sum = Loss(-A * l, -A);
    if (HAS(old)) sum = clipped(l - AT(old, r), A);
    if (HAS(reference)) {
        const Divergence of = divergence(AT(reference, r) - l);
        sum.loss += p.beta * of.k;
        sum.derivative -= p.beta * of.slope;
    }
    return sum;
}
