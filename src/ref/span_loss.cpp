#include <cmath>

#include "ref/ops.h"

namespace nib::ref {
namespace {

// log(sum_r exp(logits[r])) over `rows` rows of a column of (R,2).
template <class Real>
double log_sum_exp(const Real* column, int64_t rows) {
    double most = column[0], sum = 0;
    for (int64_t r = 1; r < rows; ++r)
        if (column[2 * r] > most) most = column[2 * r];
    for (int64_t r = 0; r < rows; ++r) sum += std::exp(static_cast<double>(column[2 * r]) - most);
    return most + std::log(sum);
}

}  // namespace

// With p_k the softmax of column k of the logits over the rows of text n, of which targets[n,0] begins and targets[n,1]
// ends the answer:  logp[n] = (log p_0(targets[n,0]) + log p_1(targets[n,1])) / 2, and the gradient of the loss
// -loss_scale logp[n]:  dlogits[r,k] = loss_scale / 2 (p_k(r) - [r = targets[n,k]]).
// Both 0 of a text that does not have both targets among its rows. dlogits is 0 for rows of no text, too: unit n also has
// the rows before text n that no other text has, and the last one those behind it.
template <class Real>
void span_loss(const Call& call, Range units, void*) {
    using O = operand::SpanLoss;
    const auto* logits = call.input<Real>(O::logits);       // (R,2)
    const auto* texts = call.input<int32_t>(O::texts);      // (N,2)
    const auto* targets = call.input<int32_t>(O::targets);  // (N,2)
    auto* logp = call.output<Real>(O::logp);                // (N)
    auto* dlogits = call.output<Real>(O::dlogits);          // (R,2) or null, may be logits
    const double factor = static_cast<double>(call.step->loss_scale) / 2;
    const int64_t texts_in_use = call.gathered_rows();
    const auto clear = [&](int64_t from, int64_t to) {
        for (int64_t i = 2 * from; dlogits && i < 2 * to; ++i) dlogits[i] = 0;
    };
    for (int64_t n = units.begin; n < units.end && n < texts_in_use; ++n) {
        const int64_t first = texts[2 * n], end = texts[2 * n + 1];
        clear(n == 0 ? 0 : texts[2 * n - 1], first);
        if (n == texts_in_use - 1) clear(end, call.rows());
        const auto has = [&](int64_t row) { return first <= row && row < end; };
        logp[n] = 0;
        if (!has(targets[2 * n]) || !has(targets[2 * n + 1])) {
            clear(first, end);
            continue;
        }
        double sum = 0;
        for (int64_t k = 0; k < 2; ++k) {
            const int64_t target = targets[2 * n + k];
            const double lse = log_sum_exp(logits + 2 * first + k, end - first);
            sum += logits[2 * target + k] - lse;
            for (int64_t r = first; dlogits && r < end; ++r)
                dlogits[2 * r + k] =
                    static_cast<Real>(factor * (std::exp(logits[2 * r + k] - lse) - (r == target ? 1 : 0)));
        }
        logp[n] = static_cast<Real>(sum / 2);
    }
}

NIB_INSTANTIATE(span_loss);

}  // namespace nib::ref
