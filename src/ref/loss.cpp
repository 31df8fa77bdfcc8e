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

// -sum_v p log p with p = softmax(x)[v]; what has no probability adds nothing
template <class Real>
double entropy_of(const Real* x, int64_t V, double lse) {
    double sum = 0;
    for (int64_t v = 0; v < V; ++v)
        if (const double log_p = x[v] - lse, p = std::exp(log_p); p != 0) sum -= p * log_p;
    return sum;
}

// What token v has of the target's probability: 1 for the target, or with label smoothing (Szegedy et al. 2016) a part of
// it, of which all V have the same share.
double share(bool is_target, double smoothing, int64_t V) {
    return (is_target ? 1 - smoothing : 0) + smoothing / static_cast<double>(V);
}

// How a loss varies with a row's entropy.
struct Entropy {
    double value = 0, derivative = 0;
};

// dlogits[v] = factor (share(v = target) - p_v) - dH p_v (log p_v + H) with p = softmax(logits) and its entropy H, which
// may replace the logits
template <class Real>
void gradient(const Real* logits, int64_t V, double lse, int32_t target, double factor, double smoothing, Real* dlogits,
              const Entropy& H = {}) {
    for (int64_t v = 0; v < V; ++v) {
        const double log_p = logits[v] - lse, p = std::exp(log_p);
        double d = factor * (share(v == target, smoothing, V) - p);
        if (H.derivative != 0 && p != 0) d -= H.derivative * p * (log_p + H.value);
        dlogits[v] = static_cast<Real>(target == kIgnore ? 0 : d);  // even of NaN
    }
}

}  // namespace

// logp[r] = sum_v share(v = target) logits[r,v] - log(sum_v exp(logits[r,v])), and the gradient of the loss
// -loss_scale weights[r] logp[r]:  dlogits[r,v] = loss_scale weights[r] (softmax(logits[r])_v - share(v = target));
// both 0 where the target is kIgnore. Without label smoothing the sum is logits[r,target]. entropy[r] is that of the
// softmax in nats, or 0, too.
template <class Real>
void cross_entropy(const Call& call, Range rows, void*) {
    using O = operand::CrossEntropy;
    const auto* targets = call.input<int32_t>(O::targets);  // (R)
    const auto* weights = call.input<Real>(O::weights);     // (R) or null
    auto* logp = call.output<Real>(O::logp);                // (R)
    auto* predicted = call.output<int32_t>(O::predicted);   // (R) or null
    auto* entropy = call.output<Real>(O::entropy);          // (R) or null
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
        if (entropy) entropy[r] = static_cast<Real>(target == kIgnore ? 0 : entropy_of(logits, V, lse));
        if (!call.has(O::dlogits)) continue;
        const double scale = static_cast<double>(call.step->loss_scale) * (weights ? weights[r] : 1);
        gradient(logits, V, lse, target, -scale, smoothing,
                 call.output<Real>(O::dlogits) + r * V);  // (R,V), may be logits
    }
}

// dlogits[r,v] = dlogp[r] ([v = target] - p_v) - dentropy[r] p_v (log p_v + entropy[r]) with p = softmax(logits[r]) and its
// entropy; 0 where the target is kIgnore. Without dentropy its term is 0.
template <class Real>
void log_prob_backward(const Call& call, Range rows, void*) {
    using O = operand::LogProbBackward;
    const int64_t V = call.p.N;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* logits = call.input<Real>(O::logits) + r * V;  // (R,V)
        Entropy H;
        if (call.has(O::dentropy)) H = {call.input<Real>(O::entropy)[r], call.input<Real>(O::dentropy)[r]};
        gradient(logits, V, log_sum_exp(logits, V), call.input<int32_t>(O::targets)[r],
                 static_cast<double>(call.input<Real>(O::dlogp)[r]), 0, call.output<Real>(O::dlogits) + r * V, H);
    }
}

NIB_INSTANTIATE(cross_entropy);
NIB_INSTANTIATE(log_prob_backward);

}  // namespace nib::ref
