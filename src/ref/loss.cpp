#include <cmath>

#include "ref/ops.h"

namespace nib::ref {
namespace {

// log(sum_v exp(x[v]))
template <class Real>
double log_sum_exp(const Real* x, int64_t V) {
    double most = x[0], sum = 0;
    for (int64_t v = 1; v < V; ++v)
        if (x[v] > most) most = x[v];
    for (int64_t v = 0; v < V; ++v) sum += std::exp(static_cast<double>(x[v]) - most);
    return most + std::log(sum);
}

// What token v has of the target's probability: 1 for the target, or with label smoothing (Szegedy et al. 2016) a part of
// it, of which all V have the same share.
double share(bool is_target, double smoothing, int64_t V) {
    return (is_target ? 1 - smoothing : 0) + smoothing / static_cast<double>(V);
}

// dlogits[v] = factor (share(v = target) - softmax(logits)_v), which may replace the logits
template <class Real>
void gradient(const Real* logits, int64_t V, double lse, int32_t target, double factor, double smoothing, Real* dlogits) {
    for (int64_t v = 0; v < V; ++v) {
        const double d = factor * (share(v == target, smoothing, V) - std::exp(logits[v] - lse));
        dlogits[v] = static_cast<Real>(target == kIgnore ? 0 : d);  // even of NaN
    }
}

}  // namespace

// logp[r] = sum_v share(v = target) logits[r,v] - log(sum_v exp(logits[r,v])), and the gradient of the loss
// -loss_scale weights[r] logp[r]:  dlogits[r,v] = loss_scale weights[r] (softmax(logits[r])_v - share(v = target));
// both 0 where the target is kIgnore. Without label smoothing the sum is logits[r,target].
template <class Real>
void cross_entropy(const Call& call, Range rows, void*) {
    using O = operand::CrossEntropy;
    const auto* targets = call.input<int32_t>(O::targets);  // (R)
    const auto* weights = call.input<Real>(O::weights);     // (R) or null
    auto* logp = call.output<Real>(O::logp);                // (R)
    auto* predicted = call.output<int32_t>(O::predicted);   // (R) or null
    const int64_t V = call.p.N;
    const auto smoothing = static_cast<double>(call.p.smoothing);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* logits = call.input<Real>(O::logits) + r * V;  // (R,V)
        const int32_t target = targets[r];
        const double lse = log_sum_exp(logits, V);
        int64_t best = 0;
        for (int64_t v = 1; v < V; ++v)
            if (logits[v] > logits[best]) best = v;
        double expected = 0;
        for (int64_t v = 0; v < V; ++v)
            if (const double part = share(v == target, smoothing, V); part != 0) expected += part * logits[v];
        logp[r] = static_cast<Real>(target == kIgnore ? 0 : expected - lse);
        if (predicted) predicted[r] = static_cast<int32_t>(best);
        if (!call.has(O::dlogits)) continue;
        const double scale = static_cast<double>(call.step->loss_scale) * (weights ? weights[r] : 1);
        gradient(logits, V, lse, target, -scale, smoothing,
                 call.output<Real>(O::dlogits) + r * V);  // (R,V), may be logits
    }
}

// dlogits[r,v] = dlogp[r] ([v = target] - softmax(logits[r])_v), 0 where the target is kIgnore
template <class Real>
void log_prob_backward(const Call& call, Range rows, void*) {
    using O = operand::LogProbBackward;
    const int64_t V = call.p.N;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* logits = call.input<Real>(O::logits) + r * V;  // (R,V)
        gradient(logits, V, log_sum_exp(logits, V), call.input<int32_t>(O::targets)[r],
                 static_cast<double>(call.input<Real>(O::dlogp)[r]), 0, call.output<Real>(O::dlogits) + r * V);
    }
}

NIB_INSTANTIATE(cross_entropy);
NIB_INSTANTIATE(log_prob_backward);

}  // namespace nib::ref
