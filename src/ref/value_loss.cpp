#include <algorithm>
#include <cmath>

#include "ref/ops.h"

namespace nib::ref {

// loss[r] = mean over n of (v - t)^2 with v = values[r,n], t = targets[r,n] or, if `binary`, of the cross-entropy of
// sigmoid(v) and t:  -t log(sigmoid(v)) - (1 - t) log(1 - sigmoid(v)) = max(v, 0) - v t + log(1 + exp(-|v|)).
// Its gradient is dvalues[r,n] = loss_scale weights[r] d / N with d = 2 (v - t), or sigmoid(v) - t.
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
        auto* dvalues = call.has(O::dvalues) ? call.output<Real>(O::dvalues) + r * N : nullptr;  // may be values
        const bool counts = !std::isnan(targets[0]);
        const double factor =
            static_cast<double>(call.step->loss_scale) * (weights ? weights[r] : 1) / static_cast<double>(N);
        double sum = 0;
        for (int64_t n = 0; n < N; ++n) {
            const double v = values[n], t = targets[n], e = std::exp(-std::abs(v));
            const double sigmoid = (v < 0 ? e : 1) / (1 + e);
            sum += call.p.binary ? std::max(v, 0.0) - v * t + std::log1p(e) : (v - t) * (v - t);
            const double d = call.p.binary ? sigmoid - t : 2 * (v - t);
            if (dvalues) dvalues[n] = static_cast<Real>(counts ? factor * d : 0);
        }
        loss[r] = static_cast<Real>(counts ? sum / static_cast<double>(N) : 0);
    }
}

NIB_INSTANTIATE(value_loss);

}  // namespace nib::ref
