// Where an answer begins and ends. Formulas: src/ref/span_loss.cpp.
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

float column_maximum(const float* column, int64_t rows) {
    float most = column[0];
    for (int64_t r = 1; r < rows; ++r) most = column[2 * r] > most ? column[2 * r] : most;
    return most;
}

// Calls body(first, count, terms) for blocks of the rows of a column of (R,2), with terms[i] = exp(row first + i - most).
template <class Body>
[[gnu::always_inline]] inline void for_each_exp(const float* column, int64_t rows, float most, Body&& body) {
    constexpr int64_t kBlock = 64;
    alignas(64) float terms[kBlock];
    for (int64_t first = 0; first < rows; first += kBlock) {
        const int64_t count = min(kBlock, rows - first);
        for (int64_t i = 0; i < count; ++i) terms[i] = column[2 * (first + i)] - most;
        for_each_vector(
            count, [&](int64_t i, auto get, auto put)
                       __attribute__((always_inline)) { put(terms + i, vexp(get(terms + i))); });
        body(first, count, static_cast<const float*>(terms));
    }
}

// The log-probability of row `target` of a column and, unless that is null, the gradient times `factor`, which may replace
// the column.
double column_loss(const float* column, int64_t rows, int64_t target, double factor, float* gradient) {
    const float most = column_maximum(column, rows);
    const double chosen = static_cast<double>(column[2 * target]);
    double sum = 0;
    for_each_exp(column, rows, most, [&](int64_t, int64_t count, const float* terms) {
        for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(terms[i]);
    });
    if (gradient)
        for_each_exp(column, rows, most, [&](int64_t first, int64_t count, const float* terms) {
            const double scale = factor / sum;
            for (int64_t i = 0; i < count; ++i)
                gradient[2 * (first + i)] =
                    static_cast<float>(scale * static_cast<double>(terms[i]) - (first + i == target ? factor : 0));
        });
    return chosen - (static_cast<double>(most) + natural_log(sum));
}

}  // namespace

void span_loss(const Call& call, Range units, void*) {
    using O = operand::SpanLoss;
    const auto* logits = call.input<float>(O::logits);      // (R,2)
    const auto* texts = call.input<int32_t>(O::texts);      // (N,2)
    const auto* targets = call.input<int32_t>(O::targets);  // (N,2)
    auto* logp = call.output<float>(O::logp);               // (N)
    auto* dlogits = call.output<float>(O::dlogits);         // (R,2) or null, may be logits
    const double factor = static_cast<double>(call.step->loss_scale) / 2;
    const int64_t texts_in_use = call.gathered_rows();
    const auto clear = [&](int64_t from, int64_t to) {
        if (dlogits && from < to)
            __builtin_memset(dlogits + 2 * from, 0, static_cast<size_t>(to - from) * 2 * sizeof(float));
    };
    for (int64_t n = units.begin; n < min(units.end, texts_in_use); ++n) {
        const int64_t first = texts[2 * n], end = texts[2 * n + 1];
        clear(n == 0 ? 0 : texts[2 * n - 1], first);
        if (n == texts_in_use - 1) clear(end, call.rows());
        const auto has = [&](int64_t row) { return first <= row && row < end; };
        if (!has(targets[2 * n]) || !has(targets[2 * n + 1])) {
            logp[n] = 0;
            clear(first, end);
            continue;
        }
        double sum = 0;
        for (int64_t k = 0; k < 2; ++k) {
            const int64_t at = 2 * first + k;
            sum +=
                column_loss(logits + at, end - first, targets[2 * n + k] - first, factor, dlogits ? dlogits + at : nullptr);
        }
        logp[n] = static_cast<float>(sum / 2);
    }
}

}  // namespace nib::cpu::NIB_ISA
