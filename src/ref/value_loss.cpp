#include <algorithm>
#include <cmath>

#include "ref/ops.h"

namespace nib::ref {
namespace {

struct Loss {
    double loss, derivative;  // by v
};

Loss binary_cross_entropy(double v, double t) {
    const double e = std::exp(-std::abs(v)), sigmoid = (v < 0 ? e : 1) / (1 + e);
    return {std::max(v, 0.0) - v * t + std::log1p(e), sigmoid - t};
}

// Where both squares are the same though v is outside, either counts by half.
Loss clipped_squared_error(double v, double t, double old, const Params& p) {
    const double held = std::clamp(v, old - static_cast<double>(p.clip_low), old + static_cast<double>(p.clip_high));
    const double free = (v - t) * (v - t), bound = (held - t) * (held - t);
    const double share = v == held || !(free <= bound) ? 1 : free < bound ? 0 : 0.5;
    return {free < bound ? bound : free, share * 2 * (v - t)};
}

}  // namespace

// loss[r] = mean over n of (v - t)^2 with v = values[r,n], t = targets[r,n] or, if `binary`, of the cross-entropy of
// sigmoid(v) and t:  -t log(sigmoid(v)) - (1 - t) log(1 - sigmoid(v)) = max(v, 0) - v t + log(1 + exp(-|v|)).
// With old (R,N) it is of max((v - t)^2, (clip(v, old - clip_low, old + clip_high) - t)^2).
// Its gradient is dvalues[r,n] = loss_scale weights[r] d / N with d = 2 (v - t), or sigmoid(v) - t, or 0 where the second
// square is the larger one.
// All 0 where the row's first target is NaN.
template <class Real>
void value_loss(const Call& call, Range rows, void*) {
    using O = operand::ValueLoss;
    const auto* weights = call.input<Real>(O::weights);  // (R) or null
    auto* loss = call.output<Real>(O::loss);             // (R)
    const int64_t N = call.p.N;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* values = call.input<Real>(O::values) + r * N;                                // (R,N)
        const auto* targets = call.input<Real>(O::targets) + r * N;                              // (R,N)
        const auto* old = call.has(O::old) ? call.input<Real>(O::old) + r * N : nullptr;         // (R,N)
        auto* dvalues = call.has(O::dvalues) ? call.output<Real>(O::dvalues) + r * N : nullptr;  // may be values
        const bool counts = !std::isnan(targets[0]);
        const double factor =
            static_cast<double>(call.step->loss_scale) * (weights ? weights[r] : 1) / static_cast<double>(N);
        double sum = 0;
        for (int64_t n = 0; n < N; ++n) {
            const double v = values[n], t = targets[n];
            const Loss of = call.p.binary ? binary_cross_entropy(v, t)
                            : old         ? clipped_squared_error(v, t, old[n], call.p)
                                          : Loss{(v - t) * (v - t), 2 * (v - t)};
            sum += of.loss;
            if (dvalues) dvalues[n] = static_cast<Real>(counts ? factor * of.derivative : 0);
        }
        loss[r] = static_cast<Real>(counts ? sum / static_cast<double>(N) : 0);
    }
}

NIB_INSTANTIATE(value_loss);

}  // namespace nib::ref
