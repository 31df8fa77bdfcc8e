// Dot products of bytes, four at a time: vectors of kBytes bytes, or kWidth words of 32 bits. Compiled once per instruction
// set like simd.h.
#pragma once

#include "cpu/simd.h"

namespace nib::cpu::NIB_ISA {

constexpr int64_t kBytes = 4 * kWidth;  // bytes in a vector

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
// The instruction multiplies unsigned by signed bytes, so that a signed w becomes w + 128.
constexpr bool kUnsignedOnly = true;
#else
constexpr bool kUnsignedOnly = false;
#endif

// Whether there is a matrix instruction, which multiplies two rows of eight bytes by two others.
#if defined(__ARM_FEATURE_MATMUL_INT8)
constexpr bool kMatMul = true;
#else
constexpr bool kMatMul = false;
#endif

#if defined(__AVX512BW__)
using vi = __m512i;
#elif defined(__AVX2__)
using vi = __m256i;
#elif defined(__SSE4_2__)
using vi = __m128i;
#else
using vi = int32x4_t;
#endif

/// kBytes bytes, as kWidth words.
[[gnu::always_inline]] inline vi load_words(const void* p) {
    vi v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

[[gnu::always_inline]] inline vi broadcast_word(int32_t word) {
#if defined(__AVX512BW__)
    return _mm512_set1_epi32(word);
#elif defined(__AVX2__)
    return _mm256_set1_epi32(word);
#elif defined(__SSE4_2__)
    return _mm_set1_epi32(word);
#else
    return vdupq_n_s32(word);
#endif
}

[[gnu::always_inline]] inline vf to_floats(vi v) {
#if defined(__AVX512BW__)
    return _mm512_cvtepi32_ps(v);
#elif defined(__AVX2__)
    return _mm256_cvtepi32_ps(v);
#elif defined(__SSE4_2__)
    return _mm_cvtepi32_ps(v);
#else
    return vcvtq_f32_s32(v);
#endif
}

/// Where kUnsignedOnly, the unsigned bytes w + 128 for signed w; else w.
[[gnu::always_inline]] inline vi biased([[maybe_unused]] vi w) {
#if defined(__AVX512VNNI__)
    return _mm512_xor_si512(w, _mm512_set1_epi8(-128));
#elif defined(__AVXVNNI__)
    return _mm256_xor_si256(w, _mm256_set1_epi8(-128));
#else
    return w;
#endif
}

/// sum + the products of the four bytes in each word, exact for x from -127 to 127. w is below 128, or if w_signed any
/// signed byte that has gone through biased().
template <bool w_signed>
[[gnu::always_inline]] inline vi add_products(vi sum, vi w, vi x) {
#if defined(__AVX512VNNI__)
    return _mm512_dpbusd_epi32(sum, w, x);
#elif defined(__AVXVNNI__)
    return _mm256_dpbusd_avx_epi32(sum, w, x);
#elif defined(__AVX512BW__)
    if (w_signed) {  // |w| times x with the sign of w
        x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x);
        w = _mm512_abs_epi8(w);
    }
    return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(w, x), _mm512_set1_epi16(1)));
#elif defined(__AVX2__)
    const __m256i pairs =
        w_signed ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)) : _mm256_maddubs_epi16(w, x);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#elif defined(__SSE4_2__)
    const __m128i pairs = w_signed ? _mm_maddubs_epi16(_mm_abs_epi8(w), _mm_sign_epi8(x, w)) : _mm_maddubs_epi16(w, x);
    return _mm_add_epi32(sum, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
#elif defined(__ARM_FEATURE_DOTPROD)
    return vdotq_s32(sum, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(x));
#else
    const int8x16_t a = vreinterpretq_s8_s32(w), b = vreinterpretq_s8_s32(x);
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_s8(vget_high_s8(a), vget_high_s8(b));
    return vpadalq_s16(sum, vpaddq_s16(low, high));
#endif
}

#if defined(__ARM_FEATURE_MATMUL_INT8)
/// sum (2,2) + x w^T, for two rows of eight bytes each in x and in w: exact as above.
[[gnu::always_inline]] inline vi add_matrix(vi sum, vi x, vi w) {
    return vmmlaq_s32(sum, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(w));
}

/// Row `row` of two matrices (2,2) side by side.
[[gnu::always_inline]] inline vi matrix_row(int row, vi left, vi right) {
    const int64x2_t a = vreinterpretq_s64_s32(left), b = vreinterpretq_s64_s32(right);
    return vreinterpretq_s32_s64(row == 0 ? vzip1q_s64(a, b) : vzip2q_s64(a, b));
}
#endif

/// For vector v of a chunk, each group's scale[g] in the lanes of its group's bytes; groups are of 16 bytes, or of 32 with
/// the same number twice.
template <int group>
[[gnu::always_inline]] inline vf spread(const float* scale, int v) {
#if defined(__AVX512BW__)
    const __m512i first = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return _mm512_permutexvar_ps(_mm512_add_epi32(first, _mm512_set1_epi32(4 * v)), _mm512_loadu_ps(scale));
#elif defined(__AVX2__)
    if (group == 32) return _mm256_broadcast_ss(scale + 2 * v);
    const __m256i index = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    const __m128i two = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(scale + 2 * v));
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_castsi128_ps(two)), index);
#else
    return vf(scale[v]);
#endif
}

}  // namespace nib::cpu::NIB_ISA
