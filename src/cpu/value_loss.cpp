// Losses of numbers and of labels. Formulas: src/ref/value_loss.cpp.
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

// Sum of log(1 + e) over e = exp(-|v|), as logarithms of products in double, which lose nothing of small e. Each factor is
// at most 2, so that a block's product is far from infinity.
double sum_of_log1p(const float* values, int64_t n) {
    constexpr int64_t kBlock = 64;
    alignas(64) float e[kBlock];
    double sum = 0;
    for (int64_t first = 0; first < n; first += kBlock) {
        const int64_t count = min(kBlock, n - first);
        const float* v = values + first;
        for_each_vector(
            count, [&](int64_t i, auto get, auto put)
                       __attribute__((always_inline)) { put(e + i, vexp(vf(0.0f) - xsimd::abs(get(v + i)))); });
        double product = 1;
        for (int64_t i = 0; i < count; ++i) product *= 1 + static_cast<double>(e[i]);
        sum += natural_log(product);
    }
    return sum;
}

double squared_error(const float* values, const float* targets, int64_t n) {
    float sum[1];
    add_up<1>(
        n, sum, [&](int64_t i, auto get, vf* to) __attribute__((always_inline)) {
            const vf d = get(values + i) - get(targets + i);
            to[0] = madd(d, d, to[0]);
        });
    return static_cast<double>(sum[0]);
}

// A value and what it is clipped to.
struct Clipped {
    vf v, held;
};
[[gnu::always_inline]] inline Clipped clip(vf v, vf old, const Params& p) {
    const vf low = old - vf(p.clip_low), high = old + vf(p.clip_high);
    return {v, xsimd::min(high, xsimd::max(low, v))};  // this order of arguments propagates NaN of v
}

double clipped_squared_error(const float* values, const float* targets, const float* old, int64_t n, const Params& p) {
    float sum[1];
    add_up<1>(
        n, sum, [&](int64_t i, auto get, vf* to) __attribute__((always_inline)) {
            const auto [v, held] = clip(get(values + i), get(old + i), p);
            const vf t = get(targets + i), free = (v - t) * (v - t), bound = (held - t) * (held - t);
            to[0] += xsimd::select(free < bound, bound, free);
        });
    return static_cast<double>(sum[0]);
}

void clipped_gradient(const float* values, const float* targets, const float* old, int64_t n, float factor, const Params& p,
                      float* dvalues) {
    const vf scale(factor);
    for_each_vector(
        n, [&](int64_t i, auto get, auto put) __attribute__((always_inline)) {
            const auto [v, held] = clip(get(values + i), get(old + i), p);
            const vf t = get(targets + i), free = (v - t) * (v - t), bound = (held - t) * (held - t), d = scale * (v - t);
            const auto outside = v != held;
            const vf half = xsimd::select(outside & (free == bound), d * vf(0.5f), d);
            put(dvalues + i, xsimd::select(outside & (free < bound), vf(0.0f), half));
        });
}

double binary_cross_entropy(const float* values, const float* targets, int64_t n) {
    float sum[1];
    add_up<1>(
        n, sum, [&](int64_t i, auto get, vf* to) __attribute__((always_inline)) {
            const vf v = get(values + i);
            to[0] += nmadd(v, get(targets + i), xsimd::max(vf(0.0f), v));
        });
    return static_cast<double>(sum[0]) + sum_of_log1p(values, n);
}

// d of each number, times `factor`.
template <bool kBinary>
void gradient(const float* values, const float* targets, int64_t n, float factor, float* dvalues) {
    const vf scale(factor), one(1.0f);
    for_each_vector(
        n, [&](int64_t i, auto get, auto put) __attribute__((always_inline)) {
            const vf v = get(values + i), t = get(targets + i);
            if constexpr (kBinary) {
                const vf e = vexp(vf(0.0f) - xsimd::abs(v));
                put(dvalues + i, scale * (divide(xsimd::select(v < vf(0.0f), e, one), one + e) - t));
            } else {
                put(dvalues + i, scale * (v - t));
            }
        });
}

}  // namespace

void value_loss(const Call& call, Range rows, void*) {
    using O = operand::ValueLoss;
    const auto* weights = call.input<float>(O::weights);  // (R) or null
    auto* loss = call.output<float>(O::loss);             // (R)
    const int64_t N = call.p.N;
    const bool binary = call.p.binary;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const float* values = call.input<float>(O::values) + r * N;                                // (R,N)
        const float* targets = call.input<float>(O::targets) + r * N;                              // (R,N)
        const float* old = call.has(O::old) ? call.input<float>(O::old) + r * N : nullptr;         // (R,N)
        float* dvalues = call.has(O::dvalues) ? call.output<float>(O::dvalues) + r * N : nullptr;  // may be values
        if (targets[0] != targets[0]) {
            loss[r] = 0;
            if (dvalues) __builtin_memset(dvalues, 0, static_cast<size_t>(N) * sizeof(float));
            continue;
        }
        const double sum = binary ? binary_cross_entropy(values, targets, N)
                           : old  ? clipped_squared_error(values, targets, old, N, call.p)
                                  : squared_error(values, targets, N);
        loss[r] = static_cast<float>(sum / static_cast<double>(N));
        if (!dvalues) continue;
        const double scale = static_cast<double>(call.step->loss_scale) * static_cast<double>(weights ? weights[r] : 1.0f);
        const auto factor = static_cast<float>((binary ? 1 : 2) * scale / static_cast<double>(N));
        if (old)
            clipped_gradient(values, targets, old, N, factor, call.p, dvalues);
        else
            (binary ? gradient<true> : gradient<false>)(values, targets, N, factor, dvalues);
    }
}

}  // namespace nib::cpu::NIB_ISA
