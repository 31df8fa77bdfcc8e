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
#if defined(__aarch64__)
    __fp16 value;
    __builtin_memcpy(&value, bytes, 2);
    return value;
#else
    uint16_t bits;
    __builtin_memcpy(&bits, bytes, 2);
#if defined(__F16C__)
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
#else
    const uint32_t magnitude = bits & 0x7FFFu, shifted = magnitude << 13;  // as in load(const Half*)
    float value;
    __builtin_memcpy(&value, &shifted, 4);
    value *= 0x1p112f;
    uint32_t result;
    __builtin_memcpy(&result, &value, 4);
    result |= (magnitude > 0x7BFF ? 0x7F800000u : 0u) | static_cast<uint32_t>(bits & 0x8000) << 16;
    __builtin_memcpy(&value, &result, 4);
    return value;
#endif
#endif
}

/// A block format, by chunks of kChunk values in kBytes: value i is scale[i / 16] * q[i] - offset[i / 16]. decode() writes
/// a chunk's q (kChunk), scale and offset (kChunk / 16 each); formats without an offset leave that alone. kBlock and
/// kBlockBytes tell where a chunk may end early; kGroup values in a row have the same scale.
template <DType>
struct Format;

constexpr int64_t kChunk = 256;

namespace detail {

// Vectors of bytes, by the compilers' own arithmetic. They pass by reference: not every instruction set has them whole.
using Bytes16 = uint8_t __attribute__((vector_size(16)));
using Bytes32 = uint8_t __attribute__((vector_size(32)));
using Words4 = uint32_t __attribute__((vector_size(16)));

template <class Bytes>
[[gnu::always_inline]] inline void load_bytes(const uint8_t* p, Bytes& v) {
    __builtin_memcpy(&v, p, sizeof v);
}
template <class Bytes>
[[gnu::always_inline]] inline void store_bytes(int8_t* p, const Bytes& v) {
    __builtin_memcpy(p, &v, sizeof v);
}

// Levels of eight blocks of 32 with 16 bytes of nibbles at `bytes`, which are `stride` apart: the low nibbles are a block's
// first 16 values.
[[gnu::always_inline]] inline void nibbles(const uint8_t* bytes, int stride, uint8_t bias, int8_t* q) {
#if defined(__AVX2__)
    const __m256i mask = _mm256_set1_epi8(15), down = _mm256_set1_epi8(static_cast<char>(bias));
    const auto load = [](const uint8_t* p) __attribute__((always_inline)) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    };
    const auto store = [](int8_t * p, __m256i v) __attribute__((always_inline)) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
    };
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        const __m256i both =
            _mm256_inserti128_si256(_mm256_castsi128_si256(load(bytes + i * stride)), load(bytes + (i + 1) * stride), 1);
        const __m256i low = _mm256_sub_epi8(_mm256_and_si256(both, mask), down);
        const __m256i high = _mm256_sub_epi8(_mm256_and_si256(_mm256_srli_epi16(both, 4), mask), down);
        store(q + 32 * i, _mm256_permute2x128_si256(low, high, 0x20));
        store(q + 32 * i + 32, _mm256_permute2x128_si256(low, high, 0x31));
    }
#else
    for (int i = 0; i < 8; ++i) {
        Bytes16 v;
        load_bytes(bytes + i * stride, v);
        store_bytes(q + 32 * i, (v & 15) - bias);
        store_bytes(q + 32 * i + 16, (v >> 4) - bias);
    }
#endif
}

// Adds 16 to the values of eight blocks of 32 whose bits in the four bytes at `high` are set.
[[gnu::always_inline]] inline void fifth_bits(const uint8_t* high, int stride, int8_t* q) {
    constexpr Bytes32 kBits = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128,
                               1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    for (int i = 0; i < 8; ++i) {
        using Words = uint64_t __attribute__((vector_size(32)));
        const uint8_t* four = high + i * stride;
        const Bytes32 bits = (Bytes32)(Words{four[0], four[1], four[2], four[3]} * 0x0101010101010101u);
        Bytes32 levels;
        load_bytes(reinterpret_cast<const uint8_t*>(q) + 32 * i, levels);
        store_bytes(q + 32 * i, levels + ((Bytes32)((bits & kBits) != 0) & 16));
    }
}

// The half floats of eight blocks, `stride` bytes apart, each twice, times `sign`.
[[gnu::always_inline]] inline void block_scales(const uint8_t* block, int stride, float sign, float* out) {
    uint16_t h[8];
    for (int i = 0; i < 8; ++i) __builtin_memcpy(h + i, block + i * stride, 2);
#if defined(__AVX512BW__)
    const __m256 d = _mm256_cvtph_ps(_mm_setr_epi16(
        static_cast<int16_t>(h[0]), static_cast<int16_t>(h[1]), static_cast<int16_t>(h[2]), static_cast<int16_t>(h[3]),
        static_cast<int16_t>(h[4]), static_cast<int16_t>(h[5]), static_cast<int16_t>(h[6]), static_cast<int16_t>(h[7])));
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    _mm512_storeu_ps(out, _mm512_mul_ps(_mm512_set1_ps(sign), _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(d))));
#else
    for (int i = 0; i < 8; ++i) out[2 * i] = out[2 * i + 1] = sign * half_at(reinterpret_cast<const uint8_t*>(h + i));
#endif
}

// Of 256 values, number i = 128 a + 32 j + k has two bits in byte 32 a + k; visit(i, bits of 32 values).
template <class Visit>
[[gnu::always_inline]] inline void two_bits(const uint8_t* bytes, Visit&& visit) {
#pragma GCC unroll 2
    for (int a = 0; a < 2; ++a) {
        Bytes32 v;
        load_bytes(bytes + 32 * a, v);
        visit(128 * a, v & 3);
        visit(128 * a + 32, v >> 2 & 3);
        visit(128 * a + 64, v >> 4 & 3);
        visit(128 * a + 96, v >> 6);
    }
}

// out[g] = d * levels[g] for 16 signed bytes.
[[gnu::always_inline]] inline void scaled(float d, const Bytes16& levels, float* out) {
#if defined(__AVX512BW__)
    const __m512i numbers = _mm512_cvtepi8_epi32((__m128i)levels);
    _mm512_storeu_ps(out, _mm512_mul_ps(_mm512_set1_ps(d), _mm512_cvtepi32_ps(numbers)));
#else
    int8_t bytes[16];
    store_bytes(bytes, levels);
    for (int g = 0; g < 16; ++g) out[g] = d * static_cast<float>(bytes[g]);
#endif
}

// The 12 bytes of Q4_K and Q5_K: eight scales and eight minima of six bits, each for two groups of 16.
[[gnu::always_inline]] inline void six_bit_scales(const uint8_t* block, float* scale, float* offset) {
    uint32_t words[3];
    __builtin_memcpy(words, block + 4, 12);
    const Words4 packed = {words[0] & 0x3F3F3F3F, (words[2] & 0x0F0F0F0F) | (words[0] >> 6 & 0x03030303) << 4,
                           words[1] & 0x3F3F3F3F, (words[2] >> 4 & 0x0F0F0F0F) | (words[1] >> 6 & 0x03030303) << 4};
    const auto v = (Bytes16)packed;
    scaled(half_at(block), __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), scale);
    scaled(half_at(block + 2), __builtin_shufflevector(v, v, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15),
           offset);
}

// What the formats of 32 values in a block share: a half float d first, then perhaps another one.
template <int bytes, bool has_offset>
struct SmallBlocks {
    static constexpr int kBlock = 32, kGroup = 32, kBlockBytes = bytes, kBytes = 8 * bytes;
    static constexpr bool kOffset = has_offset;
    [[gnu::always_inline]] static inline void scales(const uint8_t* b, float* scale, float* offset) {
        block_scales(b, bytes, 1, scale);
        if (has_offset) block_scales(b + 2, bytes, -1, offset);
    }
};

template <int bytes, int group, bool has_offset>
struct LargeBlocks {
    static constexpr int kBlock = 256, kGroup = group, kBlockBytes = bytes, kBytes = bytes;
    static constexpr bool kOffset = has_offset;
};

}  // namespace detail

template <>
struct Format<DType::Q8_0> : detail::SmallBlocks<34, false> {
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        scales(b, scale, offset);
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) __builtin_memcpy(q + 32 * i, b + 34 * i + 2, 32);
    }
};

template <>
struct Format<DType::Q4_0> : detail::SmallBlocks<18, false> {
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        scales(b, scale, offset);
        detail::nibbles(b + 2, 18, 8, q);
    }
};

template <>
struct Format<DType::Q4_1> : detail::SmallBlocks<20, true> {
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        scales(b, scale, offset);
        detail::nibbles(b + 4, 20, 0, q);
    }
};

template <>
struct Format<DType::Q5_0> : detail::SmallBlocks<22, false> {
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        scales(b, scale, offset);
        detail::nibbles(b + 6, 22, 16, q);
        detail::fifth_bits(b + 2, 22, q);
    }
};

template <>
struct Format<DType::Q5_1> : detail::SmallBlocks<24, true> {
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        scales(b, scale, offset);
        detail::nibbles(b + 8, 24, 0, q);
        detail::fifth_bits(b + 4, 24, q);
    }
};

template <>
struct Format<DType::Q2_K> : detail::LargeBlocks<84, 16, true> {
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        detail::Bytes16 nibbles;
        detail::load_bytes(b, nibbles);
        detail::scaled(half_at(b + 80), nibbles & 15, scale);
        detail::scaled(half_at(b + 82), nibbles >> 4, offset);
        detail::two_bits(
            b + 16, [&](int i, const detail::Bytes32& v) __attribute__((always_inline)) { detail::store_bytes(q + i, v); });
    }
};

template <>
struct Format<DType::Q3_K> : detail::LargeBlocks<110, 16, false> {
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float*) {
        // Low nibbles of bytes 0-7, high nibbles of the same, and for each two bits of bytes 8-11.
        uint32_t words[3];
        __builtin_memcpy(words, b + 96, 12);
        const detail::Words4 packed = {(words[0] & 0x0F0F0F0F) | (words[2] & 0x03030303) << 4,
                                       (words[1] & 0x0F0F0F0F) | (words[2] >> 2 & 0x03030303) << 4,
                                       (words[0] >> 4 & 0x0F0F0F0F) | (words[2] >> 4 & 0x03030303) << 4,
                                       (words[1] >> 4 & 0x0F0F0F0F) | (words[2] >> 6 & 0x03030303) << 4};
        detail::scaled(half_at(b + 108), (detail::Bytes16)packed - 32, scale);
        detail::Bytes32 high;
        detail::load_bytes(b, high);
        detail::two_bits(
            b + 32, [&](int i, const detail::Bytes32& low)
                        __attribute__((always_inline)) { detail::store_bytes(q + i, low + (high >> i / 32 & 1) * 4 - 4); });
    }
};

template <>
struct Format<DType::Q4_K> : detail::LargeBlocks<144, 32, true> {
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        detail::six_bit_scales(b, scale, offset);
#pragma GCC unroll 4
        for (int a = 0; a < 4; ++a) {
            detail::Bytes32 v;
            detail::load_bytes(b + 16 + 32 * a, v);
            detail::store_bytes(q + 64 * a, v & 15);
            detail::store_bytes(q + 64 * a + 32, v >> 4);
        }
    }
};

template <>
struct Format<DType::Q5_K> : detail::LargeBlocks<176, 32, true> {
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float* offset) {
        detail::six_bit_scales(b, scale, offset);
        detail::Bytes32 high;
        detail::load_bytes(b + 16, high);
#pragma GCC unroll 4
        for (int a = 0; a < 4; ++a) {
            detail::Bytes32 v;
            detail::load_bytes(b + 48 + 32 * a, v);
            detail::store_bytes(q + 64 * a, (v & 15) | (high >> 2 * a & 1) << 4);
            detail::store_bytes(q + 64 * a + 32, v >> 4 | (high >> (2 * a + 1) & 1) << 4);
        }
    }
};

template <>
struct Format<DType::Q6_K> : detail::LargeBlocks<210, 16, false> {
    [[gnu::always_inline]] static inline void decode(const uint8_t* b, int8_t* q, float* scale, float*) {
        detail::Bytes16 levels;
        detail::load_bytes(b + 192, levels);
        detail::scaled(half_at(b + 208), levels, scale);
        detail::two_bits(
            b + 128, [&](int i, const detail::Bytes32& high) __attribute__((always_inline)) {
                detail::Bytes32 low;
                detail::load_bytes(b + i / 128 * 64 + i % 64, low);
                detail::store_bytes(q + i, ((i % 128 < 64 ? low & 15 : low >> 4) | high << 4) - 32);
            });
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

/// Decodes the first `count` <= kChunk values of a chunk, whole blocks; the others are zero.
template <class F>
[[gnu::noinline]] void decode_chunk(const uint8_t* b, int64_t count, int8_t* q, float* scale, float* offset) {
    uint8_t padded[F::kBytes];
    if (count < kChunk) {
        __builtin_memset(padded, 0, F::kBytes);
        __builtin_memcpy(padded, b, static_cast<size_t>(count / F::kBlock * F::kBlockBytes));
        b = padded;
    }
    F::decode(b, q, scale, offset);
}

/// Row `row` of a matrix with rows of C values.
[[gnu::always_inline]] inline const void* row_of(DType type, const void* matrix, int64_t row, int64_t C) {
    return static_cast<const uint8_t*>(matrix) + dtype_bytes(type, row * C);
}

}  // namespace nib::cpu::NIB_ISA
