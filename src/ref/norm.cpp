#include <cmath>

#include "ref/ops.h"

namespace nib::ref {

// Layer normalization (Ba, Kiros, Hinton 2016):
// mean = sum_c x / C,  rstd = 1 / sqrt(sum_c (x - mean)^2 / C + eps),  y = (x - mean) rstd gain + bias
template <class Real>
void norm(const Call& call, Range rows, void*) {
    const auto* gain = call.input<Real>(1);  // (C)
    const auto* bias = call.input<Real>(2);  // (C) or null
    auto* mean = call.output<Real>(1);       // (R) or null
    auto* rstd = call.output<Real>(2);       // (R) or null
    const int64_t C = call.p.C;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* x = call.input<Real>(0) + r * C;  // (R,C)
        auto* y = call.output<Real>(0) + r * C;       // (R,C)
        double sum = 0, squares = 0;
        for (int64_t c = 0; c < C; ++c) sum += x[c];
        const double m = sum / static_cast<double>(C);
        for (int64_t c = 0; c < C; ++c) squares += (x[c] - m) * (x[c] - m);
        const double s = 1 / std::sqrt(squares / static_cast<double>(C) + call.p.eps);
        for (int64_t c = 0; c < C; ++c) y[c] = static_cast<Real>((x[c] - m) * s * gain[c] + (bias ? bias[c] : 0));
        if (mean) mean[r] = static_cast<Real>(m), rstd[r] = static_cast<Real>(s);
    }
}

// With xhat = (x - mean) rstd and g = dy gain:  dx = rstd (g - mean_c(g) - xhat mean_c(g xhat))
template <class Real>
void norm_backward(const Call& call, Range rows, void*) {
    const auto* gain = call.input<Real>(2);  // (C)
    const int64_t C = call.p.C;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* dy = call.input<Real>(0) + r * C;  // (R,C)
        const auto* x = call.input<Real>(1) + r * C;   // (R,C)
        auto* dx = call.output<Real>(0) + r * C;       // (R,C)
        const double mean = call.input<Real>(3)[r], rstd = call.input<Real>(4)[r];
        double g_mean = 0, gx_mean = 0;
        for (int64_t c = 0; c < C; ++c) {
            const double g = static_cast<double>(dy[c]) * gain[c];
            g_mean += g / static_cast<double>(C);
            gx_mean += g * (x[c] - mean) * rstd / static_cast<double>(C);
        }
        for (int64_t c = 0; c < C; ++c) {
            const double g = static_cast<double>(dy[c]) * gain[c], xhat = (x[c] - mean) * rstd;
            put(dx[c], rstd * (g - g_mean - xhat * gx_mean), call.adds(0));
        }
    }
}

// dgain[c] = sum_r dy[r,c] xhat[r,c],  dbias[c] = sum_r dy[r,c]
template <class Real>
void norm_backward_weight(const Call& call, Range columns, void*) {
    const auto* dy = call.input<Real>(0);    // (R,C)
    const auto* x = call.input<Real>(1);     // (R,C)
    const auto* mean = call.input<Real>(2);  // (R)
    const auto* rstd = call.input<Real>(3);  // (R)
    auto* dgain = call.output<Real>(0);      // (C)
    auto* dbias = call.output<Real>(1);      // (C) or null
    const int64_t C = call.p.C;
    for (int64_t c = columns.begin; c < columns.end; ++c) {
        double gain = 0, bias = 0;
        for (int64_t r = 0; r < call.p.B * call.p.T; ++r) {
            const double d = dy[r * C + c];
            gain += d * (x[r * C + c] - mean[r]) * rstd[r];
            bias += d;
        }
        put(dgain[c], gain, call.adds_weight(0));
        if (dbias) put(dbias[c], bias, call.adds_weight(1));
    }
}

NIB_INSTANTIATE(norm);
NIB_INSTANTIATE(norm_backward);
NIB_INSTANTIATE(norm_backward_weight);

}  // namespace nib::ref
