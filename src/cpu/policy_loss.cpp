// The loss of a policy. Formulas: src/ref/policy_loss.cpp.
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

/// A loss and its derivative by logp.
struct Loss {
    vf loss, derivative;
};

// x = logp - old
[[gnu::always_inline]] inline Loss clipped(vf x, vf A, vf low, vf high) {
    const vf r = vexp(x), held = xsimd::min(high, xsimd::max(low, r));  // this order of arguments propagates NaN
    const vf free = r * A, bound = held * A;
    const auto outside = r != held;
    const vf half = xsimd::select(outside & (free == bound), free * vf(0.5f), free);
    const vf derivative = xsimd::select(outside & (free > bound), vf(0.0f), half);
    return {vf(0.0f) - xsimd::select(bound < free, bound, free), vf(0.0f) - derivative};
}

// k = e^d - d - 1, where d is small by its series, and e^d - 1.
struct Divergence {
    vf k, slope;
};
[[gnu::always_inline]] inline Divergence divergence(vf d) {
    vf p(1.0f / 40320);
    p = madd(p, d, vf(1.0f / 5040));
    p = madd(p, d, vf(1.0f / 720));
    p = madd(p, d, vf(1.0f / 120));
    p = madd(p, d, vf(1.0f / 24));
    p = madd(p, d, vf(1.0f / 6));
    p = madd(p, d, vf(0.5f));
    const vf series = d * d * p, more = vexp(d) - vf(1.0f);
    const auto small = xsimd::abs(d) < vf(0.5f);
    return {xsimd::select(small, series, more - d), xsimd::select(small, series + d, more)};
}

}  // namespace

void policy_loss(const Call& call, Range rows, void*) {
    using O = operand::PolicyLoss;
    const auto input = [&](int operand) __attribute__((always_inline)) { return call.input<float>(operand) + rows.begin; };
    const float *logp = input(O::logp), *old = input(O::old), *reference = input(O::reference),
                *entropy = input(O::entropy), *advantages = input(O::advantages), *weights = input(O::weights);
    const bool has_old = call.has(O::old), has_reference = call.has(O::reference), has_entropy = call.has(O::entropy);
    float *loss = call.output<float>(O::loss), *dlogp = call.output<float>(O::dlogp),
          *dentropy = call.output<float>(O::dentropy);
    const vf low(1 - call.p.clip_low), high(1 + call.p.clip_high), beta(call.p.beta), of_entropy(-call.p.entropy_weight),
        loss_scale(call.step->loss_scale);
    for_each_vector(
        rows.end - rows.begin, [&](int64_t i, auto get, auto put) __attribute__((always_inline)) {
            const vf l = get(logp + i), A = get(advantages + i), weight = get(weights + i), scale = weight * loss_scale;
            Loss sum{vf(0.0f) - A * l, vf(0.0f) - A};
            if (has_old) sum = clipped(l - get(old + i), A, low, high);
            if (has_reference) {
                const auto [k, slope] = divergence(get(reference + i) - l);
                sum = {madd(beta, k, sum.loss), nmadd(beta, slope, sum.derivative)};
            }
            if (has_entropy) sum.loss = madd(of_entropy, get(entropy + i), sum.loss);
            const auto put_counted = [&](float* to, vf x) __attribute__((always_inline)) {
                if (to) put(to + rows.begin + i, xsimd::select(weight == vf(0.0f), vf(0.0f), x));
            };
            put_counted(loss, weight * sum.loss);
            put_counted(dlogp, scale * sum.derivative);
            put_counted(dentropy, scale * of_entropy);
        });
}

}  // namespace nib::cpu::NIB_ISA
