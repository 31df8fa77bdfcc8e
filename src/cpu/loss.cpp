// Softmax cross-entropy. Formulas: src/ref/loss.cpp.
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

constexpr float kInfinity = __builtin_inff();

// The largest element of x; if there is a NaN, it or any element.
float row_maximum(const float* x, int64_t n) {
    vf most[4] = {vf(-kInfinity), vf(-kInfinity), vf(-kInfinity), vf(-kInfinity)};
    int64_t i = 0;
    for (; i + 4 * kWidth <= n; i += 4 * kWidth)
        for (int k = 0; k < 4; ++k) most[k] = xsimd::max(load(x + i + k * kWidth), most[k]);
    for (; i + kWidth <= n; i += kWidth) most[0] = xsimd::max(load(x + i), most[0]);
    if (i < n) most[0] = xsimd::max(load_tail_or(x + i, n - i, -kInfinity), most[0]);
    return reduce_max(xsimd::max(xsimd::max(most[0], most[1]), xsimd::max(most[2], most[3])));
}

// Index of the first element equal to `value`; 0 if there is none.
int64_t first_equal(const float* x, int64_t n, float value) {
    for (int64_t block = 0; block < n; block += 64) {  // a branchless loop over each block
        const int64_t end = min(n, block + 64);
        int found = 0;
        for (int64_t i = block; i < end; ++i) found |= x[i] == value;
        if (!found) continue;
        for (int64_t i = block; i < end; ++i)
            if (x[i] == value) return i;
    }
    return 0;
}

// d e with e = exp(d), 0 if d is -infinity.
[[gnu::always_inline]] inline vf moment(vf d, vf e) { return xsimd::max(vf(-1e30f), d) * e; }

// Sum of exp(x - most), with blocks added in double so that the error does not grow with n. With kStore, the terms go to
// `out`, which may be x. With kMoments, the sum of the (x - most) exp(x - most) goes to `moments`.
template <bool kStore, bool kMoments = false>
double sum_of_exp(const float* x, int64_t n, float most, float* out, double* moments = nullptr) {
    constexpr int64_t kBlock = 1024;
    double total = 0, total_moments = 0;
    for (int64_t block = 0; block < n; block += kBlock) {
        const int64_t end = min(n, block + kBlock);
        vf sum[4] = {vf(0.0f), vf(0.0f), vf(0.0f), vf(0.0f)}, moments_of[4] = {vf(0.0f), vf(0.0f), vf(0.0f), vf(0.0f)};
        int64_t i = block;
        for (; i + 4 * kWidth <= end; i += 4 * kWidth)
            for (int k = 0; k < 4; ++k) {
                const vf d = load(x + i + k * kWidth) - vf(most), e = vexp(d);
                if constexpr (kStore) store(out + i + k * kWidth, e);
                if constexpr (kMoments) moments_of[k] += moment(d, e);
                sum[k] += e;
            }
        for (; i + kWidth <= end; i += kWidth) {
            const vf d = load(x + i) - vf(most), e = vexp(d);
            if constexpr (kStore) store(out + i, e);
            if constexpr (kMoments) moments_of[0] += moment(d, e);
            sum[0] += e;
        }
        if (const int64_t left = end - i; left > 0) {
            const vf d = load_tail_or(x + i, left, -kInfinity) - vf(most), e = vexp(d);
            if constexpr (kStore) store_tail(out + i, e, left);
            if constexpr (kMoments) moments_of[1] += keep_first(moment(d, e), left);
            sum[1] += keep_first(e, left);
        }
        total += static_cast<double>(reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3])));
        if constexpr (kMoments)
            total_moments +=
                static_cast<double>(reduce_add((moments_of[0] + moments_of[1]) + (moments_of[2] + moments_of[3])));
    }
    if constexpr (kMoments) *moments = total_moments;
    return total;
}

// Sum of x, with blocks added in double.
double sum_of(const float* x, int64_t n) {
    constexpr int64_t kBlock = 1024;
    double total = 0;
    for (int64_t block = 0; block < n; block += kBlock) {
        const int64_t end = min(n, block + kBlock);
        vf sum(0.0f);
        int64_t i = block;
        for (; i + kWidth <= end; i += kWidth) sum += load(x + i);
        if (i < end) sum += load_tail_or(x + i, end - i, 0.0f);
        total += static_cast<double>(reduce_add(sum));
    }
    return total;
}

// dlogits = factor (softmax - [v = target]) for one row, in place of exp(logits - most), whose sum is `sum`. With label
// smoothing, `of_target` and `of_others` instead of 1 and 0.
void row_gradient(float* dlogits, int64_t V, int32_t target, double sum, double factor, double of_target = 1,
                  double of_others = 0) {
    const double share = static_cast<double>(dlogits[target]) / sum;  // softmax of the target
    const vf scale(static_cast<float>(factor / sum)), less(static_cast<float>(-factor * of_others));
    if (of_others == 0)
        for_each_vector(
            V, [&](int64_t v, auto load, auto store)
                   __attribute__((always_inline)) { store(dlogits + v, load(dlogits + v) * scale); });
    else
        for_each_vector(
            V, [&](int64_t v, auto load, auto store)
                   __attribute__((always_inline)) { store(dlogits + v, madd(load(dlogits + v), scale, less)); });
    dlogits[target] = static_cast<float>(factor * (share - of_target));
}

// dlogits = dlogp ([v = target] - p) - dH p (log p + H) for one row, with p = softmax and H its entropy; it may replace the
// logits.
void row_gradient_with_entropy(const float* logits, float* dlogits, int64_t V, int32_t target, double dlogp, double dH,
                               double H) {
    const float most = row_maximum(logits, V);
    const double sum = sum_of_exp<false>(logits, V, most, nullptr), shift = H - natural_log(sum);
    const float chosen = logits[target] - most;  // before dlogits may overwrite it
    const vf slope(static_cast<float>(-dH / sum)), constant(static_cast<float>(-(dlogp + dH * shift) / sum));
    for_each_vector(
        V, [&](int64_t v, auto load, auto store) __attribute__((always_inline)) {
            const vf d = load(logits + v) - vf(most), e = vexp(d);
            store(dlogits + v, madd(slope, moment(d, e), constant * e));
        });
    const double share = static_cast<double>(first_lane(vexp(vf(chosen)))) / sum;
    const double surprise = share > 0 ? static_cast<double>(chosen) + shift : 0;
    dlogits[target] = static_cast<float>(dlogp * (1 - share) - dH * share * surprise);
}

void clear_row(float* row, int64_t V) { __builtin_memset(row, 0, static_cast<size_t>(V) * sizeof(float)); }

}  // namespace

void cross_entropy(const Call& call, Range rows, void*) {
    using O = operand::CrossEntropy;
    const auto* targets = call.input<int32_t>(O::targets);  // (R)
    const auto* weights = call.input<float>(O::weights);    // (R) or null
    auto* logp = call.output<float>(O::logp);               // (R)
    auto* predicted = call.output<int32_t>(O::predicted);   // (R) or null
    auto* entropy = call.output<float>(O::entropy);         // (R) or null
    const int64_t V = call.p.N;
    const auto smoothing = static_cast<double>(call.p.smoothing);
    const double of_others = smoothing / static_cast<double>(V), of_target = 1 - smoothing + of_others;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const float* logits = call.input<float>(O::logits) + r * V;                                // (R,V)
        float* dlogits = call.has(O::dlogits) ? call.output<float>(O::dlogits) + r * V : nullptr;  // may be logits
        const int32_t target = targets[r];
        const bool ignored = target == kIgnore;
        const float most = ignored && !predicted ? 0.0f : row_maximum(logits, V);
        if (predicted) predicted[r] = static_cast<int32_t>(first_equal(logits, V, most));
        if (ignored) {
            logp[r] = 0;
            if (entropy) entropy[r] = 0;
            if (dlogits) clear_row(dlogits, V);
            continue;
        }
        double expected = static_cast<double>(logits[target]);  // before dlogits may overwrite it
        if (smoothing > 0) expected = (1 - smoothing) * expected + of_others * sum_of(logits, V);
        double moments = 0;
        const auto sum_up = entropy ? (dlogits ? sum_of_exp<true, true> : sum_of_exp<false, true>)
                                    : (dlogits ? sum_of_exp<true> : sum_of_exp<false>);
        const double sum = sum_up(logits, V, most, dlogits, &moments), log_sum = natural_log(sum);
        logp[r] = static_cast<float>(expected - (log_sum + static_cast<double>(most)));
        if (entropy) entropy[r] = static_cast<float>(log_sum - moments / sum);
        const double scale = static_cast<double>(call.step->loss_scale) * static_cast<double>(weights ? weights[r] : 1.0f);
        if (dlogits) row_gradient(dlogits, V, target, sum, scale, of_target, of_others);
    }
}

void log_prob_backward(const Call& call, Range rows, void*) {
    using O = operand::LogProbBackward;
    const int64_t V = call.p.N;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const float* logits = call.input<float>(O::logits) + r * V;  // (R,V)
        float* dlogits = call.output<float>(O::dlogits) + r * V;     // may be logits
        const int32_t target = call.input<int32_t>(O::targets)[r];
        if (target == kIgnore) {
            clear_row(dlogits, V);
            continue;
        }
        const auto dlogp = static_cast<double>(call.input<float>(O::dlogp)[r]);
        if (call.has(O::dentropy)) {
            const auto H = static_cast<double>(call.input<float>(O::entropy)[r]);
            const auto dH = static_cast<double>(call.input<float>(O::dentropy)[r]);
            row_gradient_with_entropy(logits, dlogits, V, target, dlogp, dH, H);
            continue;
        }
        const double sum = sum_of_exp<true>(logits, V, row_maximum(logits, V), dlogits);
        row_gradient(dlogits, V, target, sum, -dlogp);
    }
}

}  // namespace nib::cpu::NIB_ISA
