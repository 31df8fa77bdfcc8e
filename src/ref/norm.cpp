#include <cmath>

#include "ref/ops.h"

namespace nib::ref {

// Layer normalization (Ba, Kiros, Hinton 2016):
// mean = sum_c x / C,  rstd = 1 / sqrt(sum_c (x - mean)^2 / C + eps),  y = (x - mean) rstd gain + bias
// RMS norm (Zhang, Sennrich 2019) is the same with a mean of 0.
template <class Real>
void norm(const Call& call, Range rows, void*) {
    using O = operand::Norm;
    const auto* gain = call.input<Real>(O::gain);  // (C)
    const auto* bias = call.input<Real>(O::bias);  // (C) or null
    auto* mean = call.output<Real>(O::mean);       // (R) or null
    auto* rstd = call.output<Real>(O::rstd);       // (R) or null
    const int64_t C = call.p.C;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* x = call.input<Real>(O::x) + r * C;  // (R,C)
        auto* y = call.output<Real>(O::y) + r * C;       // (R,C)
        double sum = 0, squares = 0;
        for (int64_t c = 0; c < C; ++c) sum += x[c];
        const double m = call.p.rms ? 0 : sum / static_cast<double>(C);
        for (int64_t c = 0; c < C; ++c) squares += (x[c] - m) * (x[c] - m);
        const double s = 1 / std::sqrt(squares / static_cast<double>(C) + call.p.eps);
        for (int64_t c = 0; c < C; ++c) y[c] = static_cast<Real>((x[c] - m) * s * gain[c] + (bias ? bias[c] : 0));
        if (mean) mean[r] = static_cast<Real>(m);
        if (rstd) rstd[r] = static_cast<Real>(s);
    }
}

// With xhat = (x - mean) rstd and g = dy gain:  dx = rstd (g - mean_c(g) - xhat mean_c(g xhat)), for RMS norm without
// mean_c(g)
template <class Real>
void norm_backward(const Call& call, Range rows, void*) {
    using O = operand::NormBackward;
    const auto* gain = call.input<Real>(O::gain);   // (C)
    const auto* means = call.input<Real>(O::mean);  // (R), null for RMS norm
    const int64_t C = call.p.C;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* dy = call.input<Real>(O::dy) + r * C;  // (R,C)
        const auto* x = call.input<Real>(O::x) + r * C;    // (R,C)
        auto* dx = call.output<Real>(O::dx) + r * C;       // (R,C)
        const double mean = means ? means[r] : 0, rstd = call.input<Real>(O::rstd)[r];
        double g_mean = 0, gx_mean = 0;
        for (int64_t c = 0; c < C; ++c) {
            const double g = static_cast<double>(dy[c]) * gain[c];
            if (!call.p.rms) g_mean += g / static_cast<double>(C);
            gx_mean += g * (x[c] - mean) * rstd / static_cast<double>(C);
        }
        for (int64_t c = 0; c < C; ++c) {
            const double g = static_cast<double>(dy[c]) * gain[c], xhat = (x[c] - mean) * rstd;
            put(dx[c], rstd * (g - g_mean - xhat * gx_mean), call.adds(O::dx));
        }
    }
}

// dgain[c] = sum_r dy[r,c] xhat[r,c],  dbias[c] = sum_r dy[r,c]
template <class Real>
void norm_backward_weight(const Call& call, Range columns, void*) {
    using O = operand::NormBackwardWeight;
    const auto* dy = call.input<Real>(O::dy);      // (R,C)
    const auto* x = call.input<Real>(O::x);        // (R,C)
    const auto* mean = call.input<Real>(O::mean);  // (R), null for RMS norm
    const auto* rstd = call.input<Real>(O::rstd);  // (R)
    auto* dgain = call.output<Real>(O::dgain);     // (C)
    auto* dbias = call.output<Real>(O::dbias);     // (C) or null
    const int64_t C = call.p.C;
    for (int64_t c = columns.begin; c < columns.end; ++c) {
        double gain = 0, bias = 0;
        for (int64_t r = 0; r < call.rows(); ++r) {
            const double d = dy[r * C + c];
            gain += d * (x[r * C + c] - (mean ? mean[r] : 0)) * rstd[r];
            bias += d;
        }
        put(dgain[c], gain, call.adds_weight(O::dgain));
        if (dbias) put(dbias[c], bias, call.adds_weight(O::dbias));
    }
}

NIB_INSTANTIATE(norm);
NIB_INSTANTIATE(norm_backward);
NIB_INSTANTIATE(norm_backward_weight);

}  // namespace nib::ref
