// Optimizers and the global norm of the gradients. Formulas: src/ref/adamw.cpp.
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

using vd = xsimd::batch<double, Arch>;
constexpr int64_t kDoubles = static_cast<int64_t>(vd::size);

// kDoubles floats of p as doubles.
[[gnu::always_inline]] inline vd load_doubles(const float* p) {
#if defined(__AVX512BW__)
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
#elif defined(__AVX2__)
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
#elif defined(__SSE4_2__)
    return _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
    return vcvt_f64_f32(vld1_f32(p));
#endif
}

// Sum of squares of n floats; a square of a float is exact in double.
double squares(const float* x, int64_t n) {
    constexpr int64_t kChains = 8;
    vd sum[kChains];
    for (vd& s : sum) s = vd(0.0);
    int64_t i = 0;
    for (; i + kChains * kDoubles <= n; i += kChains * kDoubles)
        for (int64_t k = 0; k < kChains; ++k) {
            const vd v = load_doubles(x + i + k * kDoubles);
            sum[k] += v * v;
        }
    for (int64_t half = kChains / 2; half > 0; half /= 2)
        for (int64_t k = 0; k < half; ++k) sum[k] += sum[k + half];
    alignas(64) double lanes[kDoubles];
    sum[0].store_aligned(lanes);
    double total = 0;
    for (const double lane : lanes) total += lane;
    for (; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    return total;
}

[[gnu::always_inline]] inline double scalar_root(double x) {
#if defined(__aarch64__)
    return vgetq_lane_f64(vsqrtq_f64(vdupq_n_f64(x)), 0);
#else
    return _mm_cvtsd_f64(_mm_sqrt_pd(_mm_set1_pd(x)));
#endif
}

template <bool kL2>
void adam(const Call& call, Range elements) {
    using O = operand::AdamW;
    const int64_t first = elements.begin;
    const auto* g = call.input<float>(O::g) + first;  // (C)
    auto* w = call.output<float>(O::w) + first;       // (C)
    auto* m = call.output<float>(O::m) + first;       // (C)
    auto* v = call.output<float>(O::v) + first;       // (C)
    const Step& s = *call.step;
    if (call.input<float>(O::stats)[1] == 0) return;
    const vf factor(call.input<float>(O::stats)[1]), beta1(s.beta1), beta2(s.beta2), eps(s.eps), correction2(s.correction2);
    const vf fresh1(static_cast<float>(1 - static_cast<double>(s.beta1)));
    const vf fresh2(static_cast<float>(1 - static_cast<double>(s.beta2)));
    const float lr = s.lr * call.p.scale;
    const vf rate(static_cast<float>(static_cast<double>(lr) / static_cast<double>(s.correction1)));
    const vf decay(call.p.decay ? (kL2 ? s.weight_decay : lr * s.weight_decay) : 0.0f);
    for_each_vector(
        elements.end - first, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
            const vf wi = load(w + i);
            const vf gi = kL2 ? madd(decay, wi, load(g + i) * factor) : load(g + i) * factor;
            const vf mi = madd(beta1, load(m + i), fresh1 * gi);
            const vf vi = madd(beta2, load(v + i), fresh2 * gi * gi);
            const vf step = divide(rate * mi, square_root(divide(vi, correction2)) + eps);
            store(m + i, mi);
            store(v + i, vi);
            store(w + i, wi - (kL2 ? step : madd(decay, wi, step)));  // not wi (1 - decay): decay is small
        });
}

}  // namespace

void sum_squares(const Call& call, Range blocks, void*) {
    using O = operand::SumSquares;
    const auto* x = call.input<float>(O::x);          // (C)
    auto* partial = call.output<double>(O::partial);  // (ceil(C / kSumBlock))
    for (int64_t i = blocks.begin; i < blocks.end; ++i)
        partial[i] = squares(x + i * kSumBlock, min(kSumBlock, call.p.C - i * kSumBlock));
}

void clip_factor(const Call& call, Range, void*) {
    using O = operand::ClipFactor;
    const auto* partial = call.input<double>(O::partial);  // (N)
    auto* stats = call.output<float>(O::stats);            // (2): norm, factor
    double sum = 0;
    for (int64_t i = 0; i < call.p.N; ++i) sum += partial[i];
    const double norm = scalar_root(sum), clip = static_cast<double>(call.step->clip);
    const double factor = clip / (norm + 1e-6);
    stats[0] = static_cast<float>(norm);
    const bool finite = stats[0] <= 0x1.fffffep127f;  // false for NaN
    stats[1] = !finite ? 0.0f : clip > 0 && factor < 1 ? static_cast<float>(factor) : 1.0f;
}

void adamw(const Call& call, Range elements, void*) {
    call.p.l2 ? adam<true>(call, elements) : adam<false>(call, elements);
}

void sgd(const Call& call, Range elements, void*) {
    using O = operand::Sgd;
    const int64_t first = elements.begin, n = elements.end - first;
    const auto* g = call.input<float>(O::g) + first;                        // (C)
    auto* w = call.output<float>(O::w) + first;                             // (C)
    auto* m = call.has(O::m) ? call.output<float>(O::m) + first : nullptr;  // (C) or null
    const Step& s = *call.step;
    if (call.input<float>(O::stats)[1] == 0) return;
    const vf factor(call.input<float>(O::stats)[1]), momentum(s.momentum), rate(s.lr * call.p.scale);
    const vf decay(call.p.decay ? s.weight_decay : 0.0f);
    if (m)
        for_each_vector(
            n, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
                const vf wi = load(w + i), step = madd(momentum, load(m + i), madd(decay, wi, load(g + i) * factor));
                store(m + i, step);
                store(w + i, wi - rate * step);
            });
    else
        for_each_vector(
            n, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
                const vf wi = load(w + i);
                store(w + i, wi - rate * madd(decay, wi, load(g + i) * factor));
            });
}

void adagrad(const Call& call, Range elements, void*) {
    using O = operand::Adagrad;
    const int64_t first = elements.begin;
    const auto* g = call.input<float>(O::g) + first;  // (C)
    auto* w = call.output<float>(O::w) + first;       // (C)
    auto* v = call.output<float>(O::v) + first;       // (C)
    const Step& s = *call.step;
    if (call.input<float>(O::stats)[1] == 0) return;
    const vf factor(call.input<float>(O::stats)[1]), rate(s.lr * call.p.scale), eps(s.eps);
    const vf decay(call.p.decay ? s.weight_decay : 0.0f);
    for_each_vector(
        elements.end - first, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
            const vf wi = load(w + i), d = madd(decay, wi, load(g + i) * factor), vi = madd(d, d, load(v + i));
            store(v + i, vi);
            store(w + i, wi - divide(rate * d, square_root(vi) + eps));
        });
}

}  // namespace nib::cpu::NIB_ISA
