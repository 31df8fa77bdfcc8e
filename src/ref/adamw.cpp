#include <algorithm>
#include <cmath>

#include "ref/ops.h"

namespace nib::ref {

// partial[i] = sum of squares of block i of x
template <class Real>
void sum_squares(const Call& call, Range blocks, void*) {
    using O = operand::SumSquares;
    const auto* x = call.input<Real>(O::x);           // (C)
    auto* partial = call.output<double>(O::partial);  // (ceil(C / kSumBlock))
    for (int64_t i = blocks.begin; i < blocks.end; ++i) {
        double sum = 0;
        for (int64_t j = i * kSumBlock; j < std::min(call.p.C, (i + 1) * kSumBlock); ++j)
            sum += static_cast<double>(x[j]) * x[j];
        partial[i] = sum;
    }
}

// norm = sqrt(sum of partial),  factor = min(1, clip / (norm + 1e-6)), or 1 without clipping (Pascanu, Mikolov, Bengio
// 2013); 0 when the norm is not finite, and then the optimizers change nothing
template <class Real>
void clip_factor(const Call& call, Range, void*) {
    using O = operand::ClipFactor;
    const auto* partial = call.input<double>(O::partial);  // (N)
    auto* stats = call.output<Real>(O::stats);             // (2): norm, factor
    double sum = 0;
    for (int64_t i = 0; i < call.p.N; ++i) sum += partial[i];
    const double norm = std::sqrt(sum);
    stats[0] = static_cast<Real>(norm);
    const double factor = call.step->clip > 0 ? std::min(1.0, call.step->clip / (norm + 1e-6)) : 1.0;
    stats[1] = static_cast<Real>(std::isfinite(stats[0]) ? factor : 0.0);
}

// AdamW (Loshchilov, Hutter 2019):  m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,
// w = w (1 - lr decay) - lr (m / correction1) / (sqrt(v / correction2) + eps)
// With l2, Adam (Kingma, Ba 2015): g + decay w instead of g, and no decay in the last line.
template <class Real>
void adamw(const Call& call, Range elements, void*) {
    using O = operand::AdamW;
    const auto* g = call.input<Real>(O::g);          // (C)
    const auto* stats = call.input<Real>(O::stats);  // (2): norm, factor
    auto* w = call.output<Real>(O::w);               // (C)
    auto* m = call.output<Real>(O::m);               // (C)
    auto* v = call.output<Real>(O::v);               // (C)
    const Step& s = *call.step;
    const float lr = s.lr * call.p.scale;
    if (stats[1] == 0) return;
    const double decay = call.p.decay && !call.p.l2 ? static_cast<double>(s.weight_decay) : 0;
    const double l2 = call.p.decay && call.p.l2 ? static_cast<double>(s.weight_decay) : 0;
    for (int64_t i = elements.begin; i < elements.end; ++i) {
        const double gi = static_cast<double>(g[i]) * stats[1] + l2 * static_cast<double>(w[i]);
        const double mi = s.beta1 * static_cast<double>(m[i]) + (1 - static_cast<double>(s.beta1)) * gi;
        const double vi = s.beta2 * static_cast<double>(v[i]) + (1 - static_cast<double>(s.beta2)) * gi * gi;
        m[i] = static_cast<Real>(mi);
        v[i] = static_cast<Real>(vi);
        w[i] = static_cast<Real>(w[i] * (1 - lr * decay) -
                                 lr * (mi / s.correction1) / (std::sqrt(vi / s.correction2) + s.eps));
    }
}

// Decay is part of the gradient: d = g + decay w,  m = momentum m + d (m = d without it),  w = w - lr m
template <class Real>
void sgd(const Call& call, Range elements, void*) {
    using O = operand::Sgd;
    const auto* g = call.input<Real>(O::g);          // (C)
    const auto* stats = call.input<Real>(O::stats);  // (2): norm, factor
    auto* w = call.output<Real>(O::w);               // (C)
    auto* m = call.output<Real>(O::m);               // (C) or null
    const Step& s = *call.step;
    const float lr = s.lr * call.p.scale;
    if (stats[1] == 0) return;
    const double decay = call.p.decay ? static_cast<double>(s.weight_decay) : 0;
    for (int64_t i = elements.begin; i < elements.end; ++i) {
        double step = static_cast<double>(g[i]) * stats[1] + decay * static_cast<double>(w[i]);
        if (m) {
            step += static_cast<double>(s.momentum) * m[i];
            m[i] = static_cast<Real>(step);
        }
        w[i] = static_cast<Real>(w[i] - lr * step);
    }
}

// Adagrad (Duchi, Hazan, Singer 2011):  d = g + decay w,  v = v + d^2,  w = w - lr d / (sqrt(v) + eps)
template <class Real>
void adagrad(const Call& call, Range elements, void*) {
    using O = operand::Adagrad;
    const auto* g = call.input<Real>(O::g);          // (C)
    const auto* stats = call.input<Real>(O::stats);  // (2): norm, factor
    auto* w = call.output<Real>(O::w);               // (C)
    auto* v = call.output<Real>(O::v);               // (C)
    const Step& s = *call.step;
    const float lr = s.lr * call.p.scale;
    if (stats[1] == 0) return;
    const double decay = call.p.decay ? static_cast<double>(s.weight_decay) : 0;
    for (int64_t i = elements.begin; i < elements.end; ++i) {
        const double d = static_cast<double>(g[i]) * stats[1] + decay * static_cast<double>(w[i]);
        const double vi = static_cast<double>(v[i]) + d * d;
        v[i] = static_cast<Real>(vi);
        w[i] = static_cast<Real>(w[i] - lr * d / (std::sqrt(vi) + s.eps));
    }
}

NIB_INSTANTIATE(sum_squares);
NIB_INSTANTIATE(clip_factor);
NIB_INSTANTIATE(adamw);
NIB_INSTANTIATE(sgd);
NIB_INSTANTIATE(adagrad);

}  // namespace nib::ref
