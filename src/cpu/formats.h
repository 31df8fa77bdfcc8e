// Loads and stores f16 and bf16 as vectors of floats. Compiled once per instruction set like simd.h.
#pragma once

#include "cpu/simd.h"
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {

struct Half {
    uint16_t bits;
};
struct BFloat {
    uint16_t bits;
};

[[gnu::always_inline]] inline vf load(const Half* p) {
#if defined(__AVX512BW__)
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__F16C__)
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#elif defined(__SSE4_2__)
    // Moves sign, exponent and fraction to their places; the exponent biases differ by 112. Infinity and NaN have all
    // exponent bits set.
    const __m128i h = _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    const __m128i magnitude = _mm_and_si128(h, _mm_set1_epi32(0x7FFF));
    const __m128 value = _mm_mul_ps(_mm_castsi128_ps(_mm_slli_epi32(magnitude, 13)), _mm_set1_ps(0x1p112f));
    const __m128i special = _mm_and_si128(_mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7BFF)), _mm_set1_epi32(0x7F800000));
    const __m128i sign = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x8000)), 16);
    return _mm_or_ps(value, _mm_castsi128_ps(_mm_or_si128(special, sign)));
#else
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&p->bits)));
#endif
}

[[gnu::always_inline]] inline vf load(const BFloat* p) {
#if defined(__AVX512BW__)
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
#elif defined(__AVX2__)
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
#elif defined(__SSE4_2__)
    const __m128i bits = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(bits), 16));
#else
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(&p->bits), 16));
#endif
}

/// Rounded to nearest, ties to even.
[[gnu::always_inline]] inline void store(Half* p, vf v) {
#if defined(__AVX512BW__)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif defined(__F16C__)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif defined(__SSE4_2__)
    alignas(16) float lanes[4];
    v.store_aligned(lanes);
    for (int i = 0; i < 4; ++i) {
        uint32_t bits;
        __builtin_memcpy(&bits, lanes + i, 4);
        const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
        uint32_t half;
        if (magnitude > 0x7F800000) {
            half = 0x7E00 | (magnitude >> 13 & 0x3FF);  // NaN, quiet
        } else if (magnitude >= 0x47800000) {
            half = 0x7C00;  // 2^16 and beyond
        } else if (magnitude < 0x38800000) {
            // Subnormal: adding 1/2, whose last bit is worth 2^-24, rounds it.
            float value;
            __builtin_memcpy(&value, &magnitude, 4);
            value += 0.5f;
            __builtin_memcpy(&half, &value, 4);
            half -= 0x3F000000;
        } else {
            half = (magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)) >> 13;
        }
        p[i].bits = static_cast<uint16_t>(sign | half);
    }
#else
    vst1_u16(&p->bits, vreinterpret_u16_f16(vcvt_f16_f32(v)));
#endif
}

template <class T>
[[gnu::always_inline]] inline vf load_tail(const T* p, int64_t n) {
    T buffer[kWidth] = {};
    for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
    return load(buffer);
}

[[gnu::always_inline]] inline void store_tail(Half* p, vf v, int64_t n) {
    Half buffer[kWidth];
    store(buffer, v);
    for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
}

/// Row `row` of a matrix with rows of C values.
[[gnu::always_inline]] inline const void* row_of(DType type, const void* matrix, int64_t row, int64_t C) {
    return static_cast<const uint8_t*>(matrix) + dtype_bytes(type, row * C);
}

}  // namespace nib::cpu::NIB_ISA
