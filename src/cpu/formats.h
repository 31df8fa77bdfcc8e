// The storage formats of weights and caches, as vectors of floats and, in blocks, as signed bytes with scales. The layouts
// of the blocks are described in src/ref/quantize_legacy.cpp and quantize_k.cpp. Compiled once per instruction set like
// simd.h.
#pragma once

#include "cpu/simd.h"
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {

// ---- two-byte floats: load, store and their tails as for float ------------------------------------------------------

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
    // Sign, exponent and fraction in their places; the exponents differ by 112. Infinities and NaN keep all bits set.
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
            // Subnormal: added to 1/2, whose last bit is worth 2^-24, the number is rounded by the machine.
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

// ---- blocks ----------------------------------------------------------------------------------------------------------

/// A little-endian half float at any address.
[[gnu::always_inline]] inline float half_at(const uint8_t* bytes) {
    uint16_t bits;
    __builtin_memcpy(&bits, bytes, 2);
#if defined(__F16C__)
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
#else
    const Half four[4] = {{bits}, {}, {}, {}};
    return first_lane(load(four));
#endif
}

/// A block format: kSize values in kBytes, value i = scale[i / 16] * q[i] - offset[i / 16]. decode() writes them; formats
/// without an offset leave it alone.
template <DType>
struct Format;

namespace detail {

[[gnu::always_inline]] inline void nibbles(const uint8_t* bytes, int n, int bias, int8_t* q) {
    for (int i = 0; i < n; ++i) q[i] = static_cast<int8_t>((bytes[i] & 15) - bias);
    for (int i = 0; i < n; ++i) q[n + i] = static_cast<int8_t>((bytes[i] >> 4) - bias);
}

// Adds 16 where the bit of a value is set in four bytes.
[[gnu::always_inline]] inline void fifth_bits(const uint8_t* bytes, int8_t* q) {
    uint32_t high;
    __builtin_memcpy(&high, bytes, 4);
    for (int i = 0; i < 32; ++i) q[i] = static_cast<int8_t>(q[i] + (high >> i & 1) * 16);
}

// Four runs of 32 two-bit levels in each of two groups of 32 bytes.
[[gnu::always_inline]] inline void two_bits(const uint8_t* bytes, int shift, int8_t* q) {
    for (int a = 0; a < 2; ++a)
        for (int j = 0; j < 4; ++j)
            for (int k = 0; k < 32; ++k)
                q[128 * a + 32 * j + k] = static_cast<int8_t>((bytes[32 * a + k] >> 2 * j & 3) << shift);
}

// The 12 bytes of Q4_K and Q5_K: eight scales and eight minima of six bits.
[[gnu::always_inline]] inline void six_bit_scales(const uint8_t* block, float* scale, float* offset) {
    const float d = half_at(block), dmin = half_at(block + 2);
    uint32_t words[3];
    __builtin_memcpy(words, block + 4, 12);
    uint32_t packed[4] = {words[0] & 0x3F3F3F3F, (words[2] & 0x0F0F0F0F) | (words[0] >> 6 & 0x03030303) << 4,
                          words[1] & 0x3F3F3F3F, (words[2] >> 4 & 0x0F0F0F0F) | (words[1] >> 6 & 0x03030303) << 4};
    uint8_t bytes[16];
    __builtin_memcpy(bytes, packed, 16);
    for (int g = 0; g < 16; ++g) scale[g] = d * static_cast<float>(bytes[g / 2]);
    for (int g = 0; g < 16; ++g) offset[g] = dmin * static_cast<float>(bytes[8 + g / 2]);
}

[[gnu::always_inline]] inline void four_bits(const uint8_t* bytes, int8_t* q) {
    for (int a = 0; a < 4; ++a) nibbles(bytes + 32 * a, 32, 0, q + 64 * a);
}

}  // namespace detail

template <>
struct Format<DType::Q8_0> {
    static constexpr int kSize = 32, kBytes = 34;
    static constexpr bool kOffset = false;
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float*) {
        scale[0] = scale[1] = half_at(b);
        __builtin_memcpy(q, b + 2, 32);
    }
};

template <>
struct Format<DType::Q4_0> {
    static constexpr int kSize = 32, kBytes = 18;
    static constexpr bool kOffset = false;
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float*) {
        scale[0] = scale[1] = half_at(b);
        detail::nibbles(b + 2, 16, 8, q);
    }
};

template <>
struct Format<DType::Q4_1> {
    static constexpr int kSize = 32, kBytes = 20;
    static constexpr bool kOffset = true;
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        scale[0] = scale[1] = half_at(b);
        offset[0] = offset[1] = -half_at(b + 2);
        detail::nibbles(b + 4, 16, 0, q);
    }
};

template <>
struct Format<DType::Q5_0> {
    static constexpr int kSize = 32, kBytes = 22;
    static constexpr bool kOffset = false;
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float*) {
        scale[0] = scale[1] = half_at(b);
        detail::nibbles(b + 6, 16, 16, q);
        detail::fifth_bits(b + 2, q);
    }
};

template <>
struct Format<DType::Q5_1> {
    static constexpr int kSize = 32, kBytes = 24;
    static constexpr bool kOffset = true;
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        scale[0] = scale[1] = half_at(b);
        offset[0] = offset[1] = -half_at(b + 2);
        detail::nibbles(b + 8, 16, 0, q);
        detail::fifth_bits(b + 4, q);
    }
};

template <>
struct Format<DType::Q2_K> {
    static constexpr int kSize = 256, kBytes = 84;
    static constexpr bool kOffset = true;
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        const float d = half_at(b + 80), dmin = half_at(b + 82);
        for (int g = 0; g < 16; ++g) scale[g] = d * static_cast<float>(b[g] & 15);
        for (int g = 0; g < 16; ++g) offset[g] = dmin * static_cast<float>(b[g] >> 4);
        detail::two_bits(b + 16, 0, q);
    }
};

template <>
struct Format<DType::Q3_K> {
    static constexpr int kSize = 256, kBytes = 110;
    static constexpr bool kOffset = false;
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float*) {
        const float d = half_at(b + 108);
        const uint8_t* scales = b + 96;
        for (int g = 0; g < 16; ++g) {
            const int low = scales[g % 8] >> g / 8 * 4 & 15, high = scales[8 + g % 4] >> g / 4 * 2 & 3;
            scale[g] = d * static_cast<float>((low | high << 4) - 32);
        }
        detail::two_bits(b + 32, 0, q);
        for (int j = 0; j < 8; ++j)
            for (int k = 0; k < 32; ++k) q[32 * j + k] = static_cast<int8_t>(q[32 * j + k] + (b[k] >> j & 1) * 4 - 4);
    }
};

template <>
struct Format<DType::Q4_K> {
    static constexpr int kSize = 256, kBytes = 144;
    static constexpr bool kOffset = true;
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        detail::six_bit_scales(b, scale, offset);
        detail::four_bits(b + 16, q);
    }
};

template <>
struct Format<DType::Q5_K> {
    static constexpr int kSize = 256, kBytes = 176;
    static constexpr bool kOffset = true;
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        detail::six_bit_scales(b, scale, offset);
        detail::four_bits(b + 48, q);
        for (int j = 0; j < 8; ++j)
            for (int k = 0; k < 32; ++k) q[32 * j + k] = static_cast<int8_t>(q[32 * j + k] | (b[16 + k] >> j & 1) << 4);
    }
};

template <>
struct Format<DType::Q6_K> {
    static constexpr int kSize = 256, kBytes = 210;
    static constexpr bool kOffset = false;
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float*) {
        const float d = half_at(b + 208);
        for (int g = 0; g < 16; ++g) scale[g] = d * static_cast<float>(static_cast<int8_t>(b[192 + g]));
        detail::two_bits(b + 128, 4, q);
        for (int a = 0; a < 2; ++a)
            for (int k = 0; k < 64; ++k) {
                const uint8_t low = b[64 * a + k];
                int8_t *first = q + 128 * a + k, *second = first + 64;
                *first = static_cast<int8_t>((*first | (low & 15)) - 32);
                *second = static_cast<int8_t>((*second | low >> 4) - 32);
            }
    }
};

/// Calls body with the block format `type`, or not at all for types without blocks.
template <class Body>
[[gnu::always_inline]] inline void with_format(DType type, Body&& body) {
    switch (type) {
        case DType::Q8_0: return body.template operator()<Format<DType::Q8_0>>();
        case DType::Q4_0: return body.template operator()<Format<DType::Q4_0>>();
        case DType::Q4_1: return body.template operator()<Format<DType::Q4_1>>();
        case DType::Q5_0: return body.template operator()<Format<DType::Q5_0>>();
        case DType::Q5_1: return body.template operator()<Format<DType::Q5_1>>();
        case DType::Q2_K: return body.template operator()<Format<DType::Q2_K>>();
        case DType::Q3_K: return body.template operator()<Format<DType::Q3_K>>();
        case DType::Q4_K: return body.template operator()<Format<DType::Q4_K>>();
        case DType::Q5_K: return body.template operator()<Format<DType::Q5_K>>();
        case DType::Q6_K: return body.template operator()<Format<DType::Q6_K>>();
        default: return;
    }
}

/// Row `row` of a matrix with rows of C values.
[[gnu::always_inline]] inline const void* row_of(DType type, const void* matrix, int64_t row, int64_t C) {
    return static_cast<const uint8_t*>(matrix) + dtype_bytes(type, row * C);
}

}  // namespace nib::cpu::NIB_ISA
