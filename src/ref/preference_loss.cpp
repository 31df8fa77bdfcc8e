#include <algorithm>
#include <cmath>

#include "ref/ops.h"

namespace nib::ref {
namespace {

// The loss of a margin m and its derivative, by kind and with z = beta m:
// Sigmoid  -(1 - s) log sigmoid(z) - s log sigmoid(-z) = log(1 + e^-z) + s z,  beta (s - sigmoid(-z)),  s = smoothing
// Hinge    max(0, 1 - z),  -beta where z < 1
// Ipo      (m - 1 / (2 beta))^2,  2 (m - 1 / (2 beta))
struct Judged {
    double loss, derivative;
};
Judged judge(double m, const Params& p) {
    const double beta = static_cast<double>(p.beta), s = static_cast<double>(p.smoothing), z = beta * m;
    switch (p.preference) {
        case Preference::Sigmoid: {
            const double e = std::exp(-std::abs(z)), opposite = (z > 0 ? e : 1) / (1 + e);
            return {std::max(-z, 0.0) + std::log1p(e) + s * z, beta * (s - opposite)};
        }
        case Preference::Hinge: return {std::max(1 - z, 0.0), z >= 1 ? 0 : -beta};
        case Preference::Ipo: break;
    }
    const double far = m - 1 / (2 * beta);
    return {far * far, 2 * far};
}

}  // namespace

// With gain = scales scores - offsets, loss[r] is that of the margin gain[r,0] - gain[r,1], and
// dscores[r] = loss_scale times its derivative times (scales[r,0], -scales[r,1]). All 0 where offsets[r,0] is NaN.
template <class Real>
void preference_loss(const Call& call, Range rows, void*) {
    using O = operand::PreferenceLoss;
    auto* loss = call.output<Real>(O::loss);        // (R)
    auto* dscores = call.output<Real>(O::dscores);  // (R,2) or null
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* scores = call.input<Real>(O::scores) + 2 * r;    // (R,2)
        const auto* scales = call.input<Real>(O::scales) + 2 * r;    // (R,2)
        const auto* offsets = call.input<Real>(O::offsets) + 2 * r;  // (R,2)
        const auto gain = [&](int k) { return static_cast<double>(scales[k]) * scores[k] - offsets[k]; };
        const bool counts = !std::isnan(offsets[0]);
        const auto [of_margin, derivative] = judge(gain(0) - gain(1), call.p);
        const double d = static_cast<double>(call.step->loss_scale) * derivative;
        loss[r] = static_cast<Real>(counts ? of_margin : 0);
        for (int k = 0; dscores && k < 2; ++k)
            dscores[2 * r + k] = static_cast<Real>(counts ? (k == 0 ? d : -d) * scales[k] : 0);
    }
}

NIB_INSTANTIATE(preference_loss);

}  // namespace nib::ref
