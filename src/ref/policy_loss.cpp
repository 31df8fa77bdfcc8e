#include <algorithm>
#include <cmath>

#include "ref/ops.h"

namespace nib::ref {
namespace {

// -min(r A, held A) with the ratio r = exp(x), x = logp - old, and held = clip(r, 1 - clip_low, 1 + clip_high), and its
// derivative by x. Where both products are the same though r is clipped, either counts by half.
struct Clipped {
    double loss, derivative;
};
Clipped clipped(double x, double A, const Params& p) {
    const double r = std::exp(x), low = 1 - static_cast<double>(p.clip_low), high = 1 + static_cast<double>(p.clip_high);
    const double held = std::clamp(r, low, high), free = r * A, bound = held * A;
    const double share = r == held || !(free >= bound) ? 1 : free > bound ? 0 : 0.5;
    return {-(bound < free ? bound : free), share == 0 ? 0 : -share * free};
}

}  // namespace

// loss[r] = weights[r] (c + beta (e^d - d - 1) - entropy_weight entropy[r]) with d = reference[r] - logp[r] and c as above;
// without old c = -A logp[r], without reference or entropy their terms are 0.
// dlogp[r], dentropy[r] = loss_scale times the derivatives of loss[r]. All exactly 0 where the weight is 0.
template <class Real>
void policy_loss(const Call& call, Range rows, void*) {
    using O = operand::PolicyLoss;
    const Params& p = call.p;
    const auto value = [&](int operand, int64_t r) { return static_cast<double>(call.input<Real>(operand)[r]); };
    const auto put = [&](int operand, int64_t r, double x) {
        if (call.has(operand)) call.output<Real>(operand)[r] = static_cast<Real>(value(O::weights, r) == 0 ? 0 : x);
    };
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const double logp = value(O::logp, r), A = value(O::advantages, r), weight = value(O::weights, r);
        Clipped sum{-A * logp, -A};
        if (call.has(O::old)) sum = clipped(logp - value(O::old, r), A, p);
        if (call.has(O::reference)) {
            const double d = value(O::reference, r) - logp, beta = static_cast<double>(p.beta);
            sum.loss += beta * (std::expm1(d) - d);
            sum.derivative -= beta * std::expm1(d);
        }
        const double of_entropy = -static_cast<double>(p.entropy_weight);
        if (call.has(O::entropy)) sum.loss += of_entropy * value(O::entropy, r);
        const double scale = weight * static_cast<double>(call.step->loss_scale);
        put(O::loss, r, weight * sum.loss);
        put(O::dlogp, r, scale * sum.derivative);
        put(O::dentropy, r, scale * of_entropy);
    }
}

NIB_INSTANTIATE(policy_loss);

}  // namespace nib::ref
