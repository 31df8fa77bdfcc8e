#include <cmath>

#include "ref/ops.h"

namespace nib::ref {

// loss[r] = log(sum_v exp(logits[r,v])) - logits[r,target],
// dlogits[r,v] = loss_scale (softmax(logits[r])_v - [v = target]); both 0 where the target is kIgnore
template <class Real>
void cross_entropy(const Call& call, Range rows, void*) {
    const auto* targets = call.input<int32_t>(1);  // (R)
    auto* loss = call.output<Real>(0);             // (R)
    auto* predicted = call.output<int32_t>(2);     // (R) or null
    const int64_t V = call.p.N;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* logits = call.input<Real>(0) + r * V;                      // (R,V)
        auto* dlogits = call.out[1] ? call.output<Real>(1) + r * V : nullptr;  // (R,V) or null, may be logits
        const int32_t target = targets[r];
        int64_t best = 0;
        for (int64_t v = 1; v < V; ++v)
            if (logits[v] > logits[best]) best = v;
        double sum = 0;
        for (int64_t v = 0; v < V; ++v) sum += std::exp(static_cast<double>(logits[v]) - logits[best]);
        const double lse = logits[best] + std::log(sum);
        loss[r] = static_cast<Real>(target == kIgnore ? 0 : lse - logits[target]);
        if (predicted) predicted[r] = static_cast<int32_t>(best);
        if (!dlogits) continue;
        const auto scale = static_cast<double>(call.step->loss_scale);
        for (int64_t v = 0; v < V; ++v) {
            const double d = scale * (std::exp(logits[v] - lse) - (v == target ? 1 : 0));
            dlogits[v] = static_cast<Real>(target == kIgnore ? 0 : d);  // even of NaN
        }
    }
}

NIB_INSTANTIATE(cross_entropy);

}  // namespace nib::ref
