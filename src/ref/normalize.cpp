#include <cmath>

#include "ref/ops.h"

namespace nib::ref {
namespace {

template <class Real>
double dot(const Real* a, const Real* b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
    return sum;
}

}  // namespace

// y = x / max(|x|, eps) of each row
template <class Real>
void normalize(const Call& call, Range rows, void*) {
    using O = operand::Normalize;
    const int64_t C = call.p.C;
    const auto eps = static_cast<double>(call.p.eps);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* x = call.input<Real>(O::x) + r * C;  // (R,C)
        auto* y = call.output<Real>(O::y) + r * C;       // (R,C)
        const double length = std::sqrt(dot(x, x, C)), divisor = length < eps ? eps : length;
        for (int64_t c = 0; c < C; ++c) y[c] = static_cast<Real>(x[c] / divisor);
    }
}

// dx = (dy - y (y dy)) / |x|, and dy / eps where |x| < eps
template <class Real>
void normalize_backward(const Call& call, Range rows, void*) {
    using O = operand::NormalizeBackward;
    const int64_t C = call.p.C;
    const auto eps = static_cast<double>(call.p.eps);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* dy = call.input<Real>(O::dy) + r * C;  // (R,C)
        const auto* x = call.input<Real>(O::x) + r * C;    // (R,C)
        auto* dx = call.output<Real>(O::dx) + r * C;       // (R,C)
        const double length = std::sqrt(dot(x, x, C));
        const bool is_short = length < eps;
        const double divisor = is_short ? eps : length, along = is_short ? 0 : dot(x, dy, C) / length;
        for (int64_t c = 0; c < C; ++c) put(dx[c], (dy[c] - x[c] / divisor * along) / divisor, call.adds(O::dx));
    }
}

NIB_INSTANTIATE(normalize);
NIB_INSTANTIATE(normalize_backward);

}  // namespace nib::ref
