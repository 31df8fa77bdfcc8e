// Vector arithmetic that xsimd 8.1 lacks, and exp, log and the activations with their errors. Compiled once per instruction
// set like simd.h.
//
// Of xsimd 8.1 use +, -, *, comparisons, min, max, abs and select. Its fma is a multiplication and an addition on AVX-512,
// and on NEON its / and sqrt of floats are approximations: use madd, divide and square_root below.
//
// Errors are the largest found by dense scans against libm in double, on SSE4.2, AVX2, AVX-512 and NEON.
#pragma once

#include "cpu/simd.h"

namespace nib::cpu::NIB_ISA {

/// a * b + c, rounded once where the machine has the instruction (everywhere but SSE4.2).
[[gnu::always_inline]] inline vf madd(vf a, vf b, vf c) {
#if defined(__AVX512BW__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
    return vfmaq_f32(c, a, b);
#else
    return a * b + c;
#endif
}

/// c - a * b, rounded like madd.
[[gnu::always_inline]] inline vf nmadd(vf a, vf b, vf c) {
#if defined(__AVX512BW__)
    return _mm512_fnmadd_ps(a, b, c);
#elif defined(__FMA__)
    return _mm256_fnmadd_ps(a, b, c);
#elif defined(__aarch64__)
    return vfmsq_f32(c, a, b);
#else
    return c - a * b;
#endif
}

/// a / b, correctly rounded.
[[gnu::always_inline]] inline vf divide(vf a, vf b) {
#if defined(__aarch64__)
    return vdivq_f32(a, b);
#else
    return a / b;
#endif
}

/// Square root, correctly rounded.
[[gnu::always_inline]] inline vf square_root(vf x) {
#if defined(__aarch64__)
    return vsqrtq_f32(x);
#else
    return xsimd::sqrt(x);
#endif
}

[[gnu::always_inline]] inline float first_lane(vf v) {
#if defined(__AVX512BW__)
    return _mm512_cvtss_f32(v);
#elif defined(__AVX2__)
    return _mm256_cvtss_f32(v);
#elif defined(__SSE4_2__)
    return _mm_cvtss_f32(v);
#else
    return vgetq_lane_f32(v, 0);
#endif
}

/// Combines all lanes by pairwise halving, always in the same order.
template <class Combine>
[[gnu::always_inline]] inline float reduce(vf v, Combine&& combine) {
    for (int64_t half = kWidth / 2; half > 0; half /= 2) {
#if defined(__AVX512BW__)
        const __m512 x = v;
        v = combine(v, vf(half == 8   ? _mm512_shuffle_f32x4(x, x, 0x4E)
                          : half == 4 ? _mm512_shuffle_f32x4(x, x, 0xB1)
                          : half == 2 ? _mm512_shuffle_ps(x, x, 0x4E)
                                      : _mm512_shuffle_ps(x, x, 0xB1)));
#elif defined(__AVX2__)
        const __m256 x = v;
        v = combine(v, vf(half == 4   ? _mm256_permute2f128_ps(x, x, 0x01)
                          : half == 2 ? _mm256_shuffle_ps(x, x, 0x4E)
                                      : _mm256_shuffle_ps(x, x, 0xB1)));
#elif defined(__SSE4_2__)
        const __m128 x = v;
        v = combine(v, vf(half == 2 ? _mm_shuffle_ps(x, x, 0x4E) : _mm_shuffle_ps(x, x, 0xB1)));
#else
        const float32x4_t x = v;
        v = combine(v, vf(half == 2 ? vextq_f32(x, x, 2) : vrev64q_f32(x)));
#endif
    }
    return first_lane(v);
}
[[gnu::always_inline]] inline float reduce_add(vf v) {
    return reduce(
        v, [](vf a, vf b) __attribute__((always_inline)) { return a + b; });
}
[[gnu::always_inline]] inline float reduce_max(vf v) {
    return reduce(
        v, [](vf a, vf b) __attribute__((always_inline)) { return xsimd::max(a, b); });
}

/// First n <= kWidth lanes of v, the rest zero.
[[gnu::always_inline]] inline vf keep_first(vf v, int64_t n) {
#if defined(__AVX512BW__)
    return _mm512_maskz_mov_ps(static_cast<__mmask16>((1u << n) - 1), v);
#elif defined(__AVX2__)
    const __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kFirstLanes + 16 - n));
    return _mm256_and_ps(v, _mm256_castsi256_ps(mask));
#elif defined(__SSE4_2__)
    const __m128i mask = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kFirstLanes + 16 - n));
    return _mm_and_ps(v, _mm_castsi128_ps(mask));
#else
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), vld1q_u32(kFirstLanes + 16 - n)));
#endif
}

/// First n < kWidth floats of p, the rest `fill`; touches no memory beyond them.
[[gnu::always_inline]] inline vf load_tail_or(const float* p, int64_t n, float fill) {
#if defined(__AVX512BW__)
    return _mm512_mask_loadu_ps(vf(fill), static_cast<__mmask16>((1u << n) - 1), p);
#elif defined(__AVX2__)
    const __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kFirstLanes + 16 - n));
    return _mm256_blendv_ps(vf(fill), _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
#else
    alignas(64) float buffer[kWidth];
    vf(fill).store_aligned(buffer);
    for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
    return vf::load_aligned(buffer);
#endif
}

/// K sums over n elements: body(i, load, sum) adds the terms of elements i, i+1, ... to sum[0..K). In the body, load(p)
/// reads the lanes that exist; what is added in missing lanes is ignored. The order depends on n only.
template <int K, class Body>
[[gnu::always_inline]] inline void add_up(int64_t n, float (&out)[K], Body&& body) {
    constexpr int kChains = 4;
    vf sum[kChains][K];
    for (auto& chain : sum)
        for (vf& s : chain) s = vf(0.0f);
    const auto whole = [](const float* p) __attribute__((always_inline)) { return load(p); };
    int64_t i = 0;
    for (; i + kChains * kWidth <= n; i += kChains * kWidth)
        for (int c = 0; c < kChains; ++c) body(i + c * kWidth, whole, sum[c]);
    for (int c = 0; c < kChains - 1; ++c)  // at most three whole vectors are left
        if (i + kWidth <= n) {
            body(i, whole, sum[c]);
            i += kWidth;
        }
    if (const int64_t left = n - i; left > 0) {
        vf last[K];
        for (vf& s : last) s = vf(0.0f);
        body(
            i, [left](const float* p) __attribute__((always_inline)) { return load_tail(p, left); }, last);
        for (int k = 0; k < K; ++k) sum[kChains - 1][k] += keep_first(last[k], left);
    }
    for (int k = 0; k < K; ++k) out[k] = reduce_add((sum[0][k] + sum[1][k]) + (sum[2][k] + sum[3][k]));
}

/// The low bits of a float that was rounded by adding 1.5 * 2^23, moved into the exponent.
[[gnu::always_inline]] inline vf exponent_of_low_bits(vf v) {
#if defined(__AVX512BW__)
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), 23));
#elif defined(__AVX2__)
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), 23));
#elif defined(__SSE4_2__)
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(v), 23));
#else
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v), 23));
#endif
}

/// exp for -87.3 <= x <= 89 or NaN; errors as of vexp.
/// e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2; e^r = 1 + r + r^2 (minimax polynomial of degree 4).
[[gnu::always_inline]] inline vf vexp_in_range(vf x) {
    const vf magic(12582912.0f + 126.0f);  // rounds to an integer and leaves n + 126 in the low bits
    const vf t = madd(x, vf(1.44269504f), magic);
    const vf n = t - magic;
    vf r = nmadd(n, vf(0.693359375f), x);  // ln 2 in two parts; the products with the first are exact
    r = nmadd(n, vf(-2.12194440e-4f), r);
    vf p(2 * 1.381446475e-03f);  // 2 e^r, so that the factor 2^(n-1) is a normal number or zero
    p = madd(p, r, vf(2 * 8.368780622e-03f));
    p = madd(p, r, vf(2 * 4.166839426e-02f));
    p = madd(p, r, vf(2 * 1.666652011e-01f));
    p = madd(p, r, vf(2 * 4.999999341e-01f));
    p = madd(p, r, vf(2.0f));
    p = madd(p, r, vf(2.0f));
    return p * exponent_of_low_bits(t);
}

/// exp(x): relative error 1e-7; 0 below -87 (where exp is less than 1.7e-38), infinity above 88.7228, NaN for NaN.
[[gnu::always_inline]] inline vf vexp(vf x) {
    return vexp_in_range(xsimd::min(vf(89.0f), xsimd::max(vf(-87.3f), x)));  // this order of arguments propagates NaN
}

/// The normal distribution at a = min(|x|, 13): exp(-a^2/2), and the probability beyond, Q(a) = erfc(a / sqrt 2) / 2.
struct Normal {
    vf a, bell, beyond;
};

/// Q(a) = exp(-a^2/2) P(t) with t = 1 / (1 + a/4), as in Abramowitz, Stegun 7.1.26 but to degree 7.
[[gnu::always_inline]] inline Normal normal(vf x) {
    const vf a = xsimd::min(vf(13.0f), xsimd::abs(x));
    const vf t = divide(vf(1.0f), madd(a, vf(0.25f), vf(1.0f)));
    const vf bell = vexp_in_range(a * a * vf(-0.5f));
    vf p(-9.534545522e-02f);
    p = madd(p, t, vf(3.586817160e-01f));
    p = madd(p, t, vf(-2.989344661e-01f));
    p = madd(p, t, vf(3.124874975e-01f));
    p = madd(p, t, vf(7.867533445e-03f));
    p = madd(p, t, vf(1.169706859e-01f));
    p = madd(p, t, vf(9.827247482e-02f));
    return {a, bell, bell * (p * t)};
}

/// c = x clamped to |x| <= 9.5, where gelu is x or 0 and its derivative 1 or 0 to float accuracy, and exp(-2u),
/// u = sqrt(2/pi) (c + 0.044715 c^3).
struct Gelu {
    vf from_below, c, e;  // from_below: x clamped from below only
};
[[gnu::always_inline]] inline Gelu gelu_exp(vf x) {
    const vf from_below = xsimd::max(vf(-9.5f), x), c = xsimd::min(vf(9.5f), from_below);
    const vf slope = madd(c * c, vf(-1.59576912f * 0.044715f), vf(-1.59576912f));
    return {from_below, c, vexp_in_range(c * slope)};
}

/// x/2 (1 + tanh u) = x / (1 + exp(-2u)): absolute error 1.2e-7 max(1, |x|).
[[gnu::always_inline]] inline vf gelu_tanh(vf x) {
    const Gelu g = gelu_exp(x);
    return divide(g.from_below, vf(1.0f) + g.e);
}

/// With e = exp(-2u), s = 1 / (1 + e):  s + x e s^2 (2u)': absolute error 2.1e-7.
[[gnu::always_inline]] inline vf gelu_tanh_derivative(vf x) {
    const Gelu g = gelu_exp(x);
    const vf s = divide(vf(1.0f), vf(1.0f) + g.e);
    const vf slope = madd(g.c * g.c, vf(3 * 1.59576912f * 0.044715f), vf(1.59576912f));
    return madd(g.c * slope * s, g.e * s, s);
}

/// x/2 (1 + erf(x / sqrt 2)) = max(x, 0) - |x| Q(|x|): absolute error 1e-7 max(1, |x|).
[[gnu::always_inline]] inline vf gelu_erf(vf x) {
    const Normal n = normal(x);
    return nmadd(n.a, n.beyond, xsimd::max(vf(0.0f), x));
}

/// P(X < x) + x exp(-x^2/2) / sqrt(2 pi): absolute error 2.7e-7.
[[gnu::always_inline]] inline vf gelu_erf_derivative(vf x) {
    const Normal n = normal(x);
    const vf d = nmadd(n.a * vf(0.398942280f), n.bell, n.beyond);  // at -|x|; at |x| it is 1 - d
    return xsimd::select(x < vf(0.0f), d, vf(1.0f) - d);
}

/// max(x, 0); propagates NaN.
[[gnu::always_inline]] inline vf relu(vf x) { return xsimd::max(vf(0.0f), x); }
[[gnu::always_inline]] inline vf relu_derivative(vf x) { return xsimd::select(x > vf(0.0f), vf(1.0f), vf(0.0f)); }

/// x / (1 + exp(-x)): relative error 3e-7 above -80; below that it is practically 0.
[[gnu::always_inline]] inline vf silu(vf x) {
    const vf c = xsimd::max(vf(-80.0f), x);
    return divide(c, vf(1.0f) + vexp(vf(0.0f) - c));
}
/// With s = 1 / (1 + exp(-x)):  s (1 + x (1 - s)).
[[gnu::always_inline]] inline vf silu_derivative(vf x) {
    const vf c = xsimd::max(vf(-80.0f), x), e = vexp(vf(0.0f) - c), s = divide(vf(1.0f), vf(1.0f) + e);
    return madd(c * s, e * s, s);  // 1 - s = e s
}

/// With e = exp(-2x): (1 - e) / (1 + e), absolute error 1.2e-7, and its derivative 4 e / (1 + e)^2. Beyond 9.5 they are
/// as good as 1 and 0.
[[gnu::always_inline]] inline vf clamped_for_tanh(vf x) { return xsimd::min(vf(9.5f), xsimd::max(vf(-9.5f), x)); }
[[gnu::always_inline]] inline vf tanh(vf x) {
    const vf e = vexp_in_range(clamped_for_tanh(x) * vf(-2.0f));
    return divide(vf(1.0f) - e, vf(1.0f) + e);
}
[[gnu::always_inline]] inline vf tanh_derivative(vf x) {
    const vf e = vexp_in_range(clamped_for_tanh(x) * vf(-2.0f)), s = divide(vf(2.0f), vf(1.0f) + e);
    return e * s * s;
}

template <Act act>
[[gnu::always_inline]] inline vf activate(vf x) {
    if constexpr (act == Act::GeluTanh) return gelu_tanh(x);
    if constexpr (act == Act::GeluErf) return gelu_erf(x);
    if constexpr (act == Act::Relu) return relu(x);
    if constexpr (act == Act::Silu) return silu(x);
    if constexpr (act == Act::Tanh) return tanh(x);
    return x;
}

template <Act act>
[[gnu::always_inline]] inline vf activate_derivative(vf x) {
    if constexpr (act == Act::GeluTanh) return gelu_tanh_derivative(x);
    if constexpr (act == Act::GeluErf) return gelu_erf_derivative(x);
    if constexpr (act == Act::Relu) return relu_derivative(x);
    if constexpr (act == Act::Silu) return silu_derivative(x);
    if constexpr (act == Act::Tanh) return tanh_derivative(x);
    return vf(1.0f);
}

/// Natural logarithm of a positive normal number: relative error 1e-15. Returns NaN and infinity as they are.
/// log(2^n m) = n ln 2 + 2 artanh(s) with s = (m - 1) / (m + 1) and m in [0.75, 1.5).
[[gnu::always_inline]] inline double natural_log(double x) {
    if (!(x <= 1.7976931348623157e308)) return x;
    constexpr int64_t kThreeQuarters = 0x3FE8000000000000;
    const int64_t bits = __builtin_bit_cast(int64_t, x);
    const int64_t n = (bits - kThreeQuarters) >> 52;
    const double m = __builtin_bit_cast(double, bits - n * (int64_t{1} << 52));
    const double s = (m - 1) / (m + 1), z = s * s;
    double p = 1.0 / 23;
    for (int k = 21; k > 0; k -= 2) p = p * z + 1.0 / k;
    return static_cast<double>(n) * 0.69314718055994531 + 2 * s * p;
}

}  // namespace nib::cpu::NIB_ISA
