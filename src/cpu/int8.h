// Dot products of signed bytes: vectors of kBytes products, summed by fours into kWidth 32-bit lanes. Compiled once per
// instruction set like simd.h.
#pragma once

#include "cpu/simd.h"

namespace nib::cpu::NIB_ISA {

constexpr int64_t kBytes = 4 * kWidth;  // bytes in a vector

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
// The instruction multiplies unsigned by signed bytes: w + 128 is unsigned, and what that adds to a sum of four products,
// 128 times the sum of the x, is in `bias` with a minus.
constexpr bool kBiased = true;
#else
constexpr bool kBiased = false;
#endif

/// Sums of four products w x each, as floats: exact, since |w| <= 128 and |x| <= 127. `bias`: see kBiased. On NEON, lanes
/// hold other fours of the vector than elsewhere.
[[gnu::always_inline]] inline vf dot_fours(const int8_t* w, const int8_t* x, [[maybe_unused]] const int32_t* bias) {
#if defined(__AVX512VNNI__)
    const __m512i levels = _mm512_xor_si512(_mm512_loadu_si512(w), _mm512_set1_epi8(-128));
    return _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(_mm512_loadu_si512(bias), levels, _mm512_loadu_si512(x)));
#elif defined(__AVX512BW__)
    // |w| times x with the sign of w; a pair of products is at most 2 * 128 * 127.
    const __m512i levels = _mm512_loadu_si512(w), values = _mm512_loadu_si512(x);
    const __m512i turned = _mm512_mask_sub_epi8(values, _mm512_movepi8_mask(levels), _mm512_setzero_si512(), values);
    const __m512i pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(levels), turned);
    return _mm512_cvtepi32_ps(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#elif defined(__AVXVNNI__)
    const auto bytes = [](const void* p) __attribute__((always_inline)) {
        return _mm256_loadu_si256(static_cast<const __m256i*>(p));
    };
    const __m256i levels = _mm256_xor_si256(bytes(w), _mm256_set1_epi8(-128));
    return _mm256_cvtepi32_ps(_mm256_dpbusd_avx_epi32(bytes(bias), levels, bytes(x)));
#elif defined(__AVX2__)
    const __m256i levels = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
    const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(levels), _mm256_sign_epi8(values, levels));
    return _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#elif defined(__SSE4_2__)
    const __m128i levels = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w));
    const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
    const __m128i pairs = _mm_maddubs_epi16(_mm_abs_epi8(levels), _mm_sign_epi8(values, levels));
    return _mm_cvtepi32_ps(_mm_madd_epi16(pairs, _mm_set1_epi16(1)));
#elif defined(__ARM_FEATURE_DOTPROD)
    return vcvtq_f32_s32(vdotq_s32(vdupq_n_s32(0), vld1q_s8(w), vld1q_s8(x)));
#else
    const int8x16_t levels = vld1q_s8(w), values = vld1q_s8(x);
    const int16x8_t pairs =
        vmlal_s8(vmull_s8(vget_low_s8(levels), vget_low_s8(values)), vget_high_s8(levels), vget_high_s8(values));
    return vcvtq_f32_s32(vpaddlq_s16(pairs));
#endif
}

/// a[g] * b[g] for the groups of 16 bytes of a vector, each in the four lanes of its group.
[[gnu::always_inline]] inline vf spread_product(const float* a, const float* b) {
#if defined(__AVX512BW__)
    const __m512i index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return _mm512_permutexvar_ps(index, _mm512_castps128_ps512(_mm_mul_ps(_mm_loadu_ps(a), _mm_loadu_ps(b))));
#elif defined(__AVX2__)
    const auto two = [](const float* p) __attribute__((always_inline)) {
        return _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    };
    const __m256i index = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_mul_ps(two(a), two(b))), index);
#else
    return vf(a[0] * b[0]);
#endif
}

}  // namespace nib::cpu::NIB_ISA
