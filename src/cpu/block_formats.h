// Decodes weights in blocks to bytes with scales. The layouts of the blocks are described in src/quant/quantize_legacy.cpp
// and quantize_k_pack.cpp. Compiled once per instruction set like simd.h.
#pragma once

#include "cpu/simd.h"

namespace nib::cpu::NIB_ISA {

constexpr int64_t kChunk = 256;  // values decoded at a time

/// A block format, by chunks of kChunk values in kBytes. Value i of a chunk is
///   scale[i / 16] * (levels[i] - kZero) - offset[i / 16],
/// where levels are unsigned bytes below 128 or, if kSigned, signed bytes and kZero is 0. Blocks of kBlock values have
/// kBlockBytes; a row's last chunk may have fewer of them. kGroup consecutive values share a scale.
///
/// levels(b, v, parts, out) decodes vector v of a chunk; only the first 32 * parts of its levels exist, the rest are zero.
/// scales(b, blocks, scale, offset) writes 16 of each, zeros from block `blocks` on. Formats without offsets do not touch
/// `offset`.
template <DType>
struct Format;

#if defined(__AVX512BW__)
constexpr int kParts = 2;  // groups of 32 levels in a vector
#else
constexpr int kParts = 1;
#endif
using Levels = uint8_t __attribute__((vector_size(32 * kParts)));

namespace detail {

// Vectors of bytes with the compilers' own arithmetic. They are passed by reference: not every instruction set has
// registers of this size.
using Bytes16 = uint8_t __attribute__((vector_size(16)));
using Words4 = uint32_t __attribute__((vector_size(16)));
using Shorts = uint16_t __attribute__((vector_size(32 * kParts)));
using Longs = uint64_t __attribute__((vector_size(32 * kParts)));

template <class Bytes>
[[gnu::always_inline]] inline void load_bytes(const uint8_t* p, Bytes& v) {
    __builtin_memcpy(&v, p, sizeof v);
}

/// An f16 at any address, as float.
[[gnu::always_inline]] inline float f16_at(const uint8_t* bytes) {
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
    const uint32_t magnitude = bits & 0x7FFFu, shifted = magnitude << 13;  // as load(const Half*) in formats.h
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

// Loads the 32 bytes at at(0), and those at at(1) if there are two parts.
template <class At>
[[gnu::always_inline]] inline void load_parts(At&& at, [[maybe_unused]] int parts, Levels& out) {
#if defined(__AVX512BW__)
    const auto load = [](const uint8_t* p) __attribute__((always_inline)) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    };
    __m512i both = _mm512_zextsi256_si512(load(at(0)));
    if (parts > 1) both = _mm512_inserti64x4(both, load(at(1)), 1);
    out = (Levels)both;
#else
    __builtin_memcpy(&out, at(0), sizeof out);
#endif
}

// The same of 16 bytes, each part twice.
template <class At>
[[gnu::always_inline]] inline void load_parts_twice(At&& at, [[maybe_unused]] int parts, Levels& out) {
#if defined(__AVX2__)
    const auto load = [](const uint8_t* p) __attribute__((always_inline)) {
        return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    };
#if defined(__AVX512BW__)
    __m512i both = _mm512_zextsi256_si512(load(at(0)));
    if (parts > 1) both = _mm512_inserti64x4(both, load(at(1)), 1);
    out = (Levels)both;
#else
    out = (Levels)load(at(0));
#endif
#else
    __builtin_memcpy(&out, at(0), 16);
    __builtin_memcpy(reinterpret_cast<char*>(&out) + 16, at(0), 16);
#endif
}

// The same 32 bytes for each part, shifted right by `first` bits for the first one and by `step` more for the second.
[[gnu::always_inline]] inline void load_shifted(const uint8_t* p, int first, [[maybe_unused]] int step, Levels& out) {
    load_parts(
        [&](int) __attribute__((always_inline)) { return p; }, kParts, out);
#if defined(__AVX512BW__)
    const uint64_t a = static_cast<uint64_t>(first), b = static_cast<uint64_t>(first + step);
    out = (Levels)((Longs)out >> Longs{a, a, a, a, b, b, b, b});
#else
    out = (Levels)((Shorts)out >> first);
#endif
}

// The nibbles of blocks of 32 values, `stride` bytes apart: first the low ones of 16 bytes, then the high ones.
template <int stride>
[[gnu::always_inline]] inline void nibbles(const uint8_t* bytes, int v, int parts, Levels& out) {
    load_parts_twice(
        [&](int part) __attribute__((always_inline)) { return bytes + (kParts * v + part) * stride; }, parts, out);
#if defined(__AVX512BW__)
    constexpr Longs kShifts = {0, 0, 4, 4, 0, 0, 4, 4};
#else
    constexpr Longs kShifts = {0, 0, 4, 4};
#endif
    out = (Levels)((Longs)out >> kShifts) & 15;
}

// Adds 16 to the levels whose bits are set in the four bytes of each block.
template <int stride>
[[gnu::always_inline]] inline void add_fifth_bits(const uint8_t* bytes, int v, int parts, Levels& levels) {
#if defined(__AVX512BW__)
    const auto bits = [&](int part) __attribute__((always_inline)) {
        uint32_t word = 0;
        if (part < parts) __builtin_memcpy(&word, bytes + (2 * v + part) * stride, 4);
        return static_cast<uint64_t>(word);
    };
    const auto old = (__m512i)levels;
    levels = (Levels)_mm512_mask_add_epi8(old, bits(0) | bits(1) << 32, old, _mm512_set1_epi8(16));
#else
    constexpr Levels kBits = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128,
                              1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8_t* b = bytes + v * stride;
    const auto spread = (Levels)(Longs{b[0], b[1], b[2], b[3]} * 0x0101010101010101u);
    levels += (Levels)((spread & kBits) != 0) & 16;
    (void)parts;
#endif
}

// Two bits of each of 256 values: those of number 128 a + 32 j + k are in byte 32 a + k, from bit 2 j on.
[[gnu::always_inline]] inline void two_bits(const uint8_t* bytes, int v, Levels& out) {
    const int j = kParts * v;
    load_shifted(bytes + j / 4 * 32, 2 * (j % 4), 2, out);
    out &= 3;
}

// One bit of each of 256 values: that of number 32 j + k is bit j of byte k. It becomes bit `to`.
template <int to>
[[gnu::always_inline]] inline void add_bit(const uint8_t* bytes, int v, Levels& levels) {
    Levels bit;
    load_shifted(bytes, kParts * v, 1, bit);
    levels |= (Levels)((Shorts)(bit & 1) << to);
}

// Four bits of each of 256 values: those of number 64 a + 32 j + k are in byte 32 a + k, from bit 4 j on.
[[gnu::always_inline]] inline void four_bits(const uint8_t* bytes, int v, Levels& out) {
    const int j = kParts * v;
    load_shifted(bytes + j / 2 * 32, 4 * (j % 2), 4, out);
    out &= 15;
}

// The first `bytes` bytes, 2 or 4, of `blocks` blocks that are `stride` bytes apart, packed into 8 bytes; the rest are
// zero.
template <int bytes, int stride>
[[gnu::always_inline]] inline uint64_t leading_bytes(const uint8_t* block, int blocks) {
    uint64_t all = 0;
#pragma GCC unroll 4
    for (int i = 0; i < 8 / bytes; ++i) {
        uint64_t first = 0;
        if (i < blocks) __builtin_memcpy(&first, block + i * stride, bytes);
        all |= first << 8 * bytes * i;
    }
    asm("" : "+r"(all));  // otherwise GCC builds it from vectors, which is slower
    return all;
}

// The f16 at the start of each of `blocks` <= 8 blocks of `stride` bytes, each written twice; zeros for missing blocks.
template <int stride>
[[gnu::always_inline]] inline void block_scales(const uint8_t* b, int blocks, float* out) {
    const uint64_t words[2] = {leading_bytes<2, stride>(b, blocks), leading_bytes<2, stride>(b + 4 * stride, blocks - 4)};
#if defined(__F16C__)
    const __m256 d = _mm256_cvtph_ps(_mm_set_epi64x(static_cast<int64_t>(words[1]), static_cast<int64_t>(words[0])));
#if defined(__AVX512BW__)
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    _mm512_storeu_ps(out, _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(d)));
#else
    const __m256 left = _mm256_unpacklo_ps(d, d), right = _mm256_unpackhi_ps(d, d);
    _mm256_storeu_ps(out, _mm256_permute2f128_ps(left, right, 0x20));
    _mm256_storeu_ps(out + 8, _mm256_permute2f128_ps(left, right, 0x31));
#endif
#else
    const auto* bytes = reinterpret_cast<const uint8_t*>(words);
    for (int i = 0; i < 8; ++i) out[2 * i] = out[2 * i + 1] = f16_at(bytes + 2 * i);
#endif
}

// The same for two f16: a scale, and a minimum, which is minus the offset.
template <int stride>
[[gnu::always_inline]] inline void block_scales(const uint8_t* b, int blocks, float* scale, float* offset) {
    uint64_t words[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) words[i] = leading_bytes<4, stride>(b + 2 * i * stride, blocks - 2 * i);
#if defined(__F16C__)
    const __m128i low = _mm_set_epi64x(static_cast<int64_t>(words[1]), static_cast<int64_t>(words[0]));
    const __m128i high = _mm_set_epi64x(static_cast<int64_t>(words[3]), static_cast<int64_t>(words[2]));
#if defined(__AVX512BW__)
    const __m512 both = _mm512_cvtph_ps(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
    _mm512_storeu_ps(scale, _mm512_moveldup_ps(both));
    _mm512_storeu_ps(offset, _mm512_xor_ps(_mm512_set1_ps(-0.0f), _mm512_movehdup_ps(both)));
#else
    const auto spread = [&](__m128i four, float* d, float* m) __attribute__((always_inline)) {
        const __m256 both = _mm256_cvtph_ps(four);
        _mm256_storeu_ps(d, _mm256_moveldup_ps(both));
        _mm256_storeu_ps(m, _mm256_xor_ps(_mm256_set1_ps(-0.0f), _mm256_movehdup_ps(both)));
    };
    spread(low, scale, offset);
    spread(high, scale + 8, offset + 8);
#endif
#else
    const auto* bytes = reinterpret_cast<const uint8_t*>(words);
    for (int i = 0; i < 8; ++i) {
        scale[2 * i] = scale[2 * i + 1] = f16_at(bytes + 4 * i);
        offset[2 * i] = offset[2 * i + 1] = -f16_at(bytes + 4 * i + 2);
    }
#endif
}

// out[g] = d * levels[g] for 16 signed bytes.
[[gnu::always_inline]] inline void scaled(float d, const Bytes16& levels, float* out) {
#if defined(__AVX512BW__)
    _mm512_storeu_ps(out, _mm512_mul_ps(_mm512_set1_ps(d), _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32((__m128i)levels))));
#elif defined(__AVX2__)
    const __m256i low = _mm256_cvtepi8_epi32((__m128i)levels);
    const __m256i high = _mm256_cvtepi8_epi32(_mm_srli_si128((__m128i)levels, 8));
    _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(low)));
    _mm256_storeu_ps(out + 8, _mm256_mul_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(high)));
#else
    int8_t bytes[16];
    __builtin_memcpy(bytes, &levels, 16);
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
    scaled(f16_at(block), __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), scale);
    scaled(f16_at(block + 2), __builtin_shufflevector(v, v, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15),
           offset);
}

// Shared by the formats with blocks of 32 values: an f16 scale comes first, then an f16 minimum where they have one.
template <int bytes, bool has_offset, int zero>
struct SmallBlocks {
    static constexpr int kBlock = 32, kGroup = 32, kBlockBytes = bytes, kBytes = 8 * bytes, kZero = zero;
    static constexpr bool kOffset = has_offset, kSigned = false;
    [[gnu::always_inline]] static inline void scales(const uint8_t* b, int blocks, float* scale, float* offset) {
        if constexpr (has_offset)
            block_scales<bytes>(b, blocks, scale, offset);
        else
            block_scales<bytes>(b, blocks, scale);
    }
};

template <int bytes, int group, bool has_offset, int zero>
struct LargeBlocks {
    static constexpr int kBlock = 256, kGroup = group, kBlockBytes = bytes, kBytes = bytes, kZero = zero;
    static constexpr bool kOffset = has_offset, kSigned = false;
};

}  // namespace detail

template <>
struct Format<DType::Q8_0> : detail::SmallBlocks<34, false, 0> {
    static constexpr bool kSigned = true;
    [[gnu::always_inline]] static inline void levels(const uint8_t* b, int v, int parts, Levels& out) {
        detail::load_parts(
            [&](int part) __attribute__((always_inline)) { return b + 34 * (kParts * v + part) + 2; }, parts, out);
    }
};

template <>
struct Format<DType::Q4_0> : detail::SmallBlocks<18, false, 8> {
    [[gnu::always_inline]] static inline void levels(const uint8_t* b, int v, int parts, Levels& out) {
        detail::nibbles<18>(b + 2, v, parts, out);
    }
};

template <>
struct Format<DType::Q4_1> : detail::SmallBlocks<20, true, 0> {
    [[gnu::always_inline]] static inline void levels(const uint8_t* b, int v, int parts, Levels& out) {
        detail::nibbles<20>(b + 4, v, parts, out);
    }
};

template <>
struct Format<DType::Q5_0> : detail::SmallBlocks<22, false, 16> {
    [[gnu::always_inline]] static inline void levels(const uint8_t* b, int v, int parts, Levels& out) {
        detail::nibbles<22>(b + 6, v, parts, out);
        detail::add_fifth_bits<22>(b + 2, v, parts, out);
    }
};

template <>
struct Format<DType::Q5_1> : detail::SmallBlocks<24, true, 0> {
    [[gnu::always_inline]] static inline void levels(const uint8_t* b, int v, int parts, Levels& out) {
        detail::nibbles<24>(b + 8, v, parts, out);
        detail::add_fifth_bits<24>(b + 4, v, parts, out);
    }
};

template <>
struct Format<DType::Q2_K> : detail::LargeBlocks<84, 16, true, 0> {
    [[gnu::always_inline]] static inline void levels(const uint8_t* b, int v, int, Levels& out) {
        detail::two_bits(b + 16, v, out);
    }
    [[gnu::always_inline]] static inline void scales(const uint8_t* b, int, float* scale, float* offset) {
        detail::Bytes16 nibbles;
        detail::load_bytes(b, nibbles);
        detail::scaled(detail::f16_at(b + 80), nibbles & 15, scale);
        detail::scaled(detail::f16_at(b + 82), nibbles >> 4, offset);
    }
};

template <>
struct Format<DType::Q3_K> : detail::LargeBlocks<110, 16, false, 4> {
    [[gnu::always_inline]] static inline void levels(const uint8_t* b, int v, int, Levels& out) {
        detail::two_bits(b + 32, v, out);
        detail::add_bit<2>(b, v, out);
    }
    [[gnu::always_inline]] static inline void scales(const uint8_t* b, int, float* scale, float*) {
        // Low nibbles of bytes 0-7, high nibbles of the same, and for each two bits of bytes 8-11.
        uint32_t words[3];
        __builtin_memcpy(words, b + 96, 12);
        const detail::Words4 packed = {(words[0] & 0x0F0F0F0F) | (words[2] & 0x03030303) << 4,
                                       (words[1] & 0x0F0F0F0F) | (words[2] >> 2 & 0x03030303) << 4,
                                       (words[0] >> 4 & 0x0F0F0F0F) | (words[2] >> 4 & 0x03030303) << 4,
                                       (words[1] >> 4 & 0x0F0F0F0F) | (words[2] >> 6 & 0x03030303) << 4};
        detail::scaled(detail::f16_at(b + 108), (detail::Bytes16)packed - 32, scale);
    }
};

template <>
struct Format<DType::Q4_K> : detail::LargeBlocks<144, 32, true, 0> {
    [[gnu::always_inline]] static inline void levels(const uint8_t* b, int v, int, Levels& out) {
        detail::four_bits(b + 16, v, out);
    }
    [[gnu::always_inline]] static inline void scales(const uint8_t* b, int, float* scale, float* offset) {
        detail::six_bit_scales(b, scale, offset);
    }
};

template <>
struct Format<DType::Q5_K> : detail::LargeBlocks<176, 32, true, 0> {
    [[gnu::always_inline]] static inline void levels(const uint8_t* b, int v, int, Levels& out) {
        detail::four_bits(b + 48, v, out);
        detail::add_bit<4>(b + 16, v, out);
    }
    [[gnu::always_inline]] static inline void scales(const uint8_t* b, int, float* scale, float* offset) {
        detail::six_bit_scales(b, scale, offset);
    }
};

template <>
struct Format<DType::Q6_K> : detail::LargeBlocks<210, 16, false, 32> {
    [[gnu::always_inline]] static inline void levels(const uint8_t* b, int v, int, Levels& out) {
        // The low bits: those of number 128 a + 64 j + k are in byte 64 a + k, from bit 4 j on.
        const int j = kParts * v;
        Levels high;
        detail::two_bits(b + 128, v, high);
        detail::load_parts(
            [&](int part) __attribute__((always_inline)) { return b + j / 4 * 64 + (j % 2 + part) * 32; }, kParts, out);
        if (j % 4 >= 2) out = (Levels)((detail::Shorts)out >> 4);
        out = (out & 15) | (Levels)((detail::Shorts)high << 4);
    }
    [[gnu::always_inline]] static inline void scales(const uint8_t* b, int, float* scale, float*) {
        detail::Bytes16 levels;
        detail::load_bytes(b + 192, levels);
        detail::scaled(detail::f16_at(b + 208), levels, scale);
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

/// Decodes the first `count` <= kChunk values of a chunk, whole blocks, to levels, scales and offsets; the rest are zero.
template <class F>
[[gnu::noinline]] void decode_chunk(const uint8_t* b, int64_t count, uint8_t* levels, float* scale, float* offset) {
    F::scales(b, static_cast<int>(count / F::kBlock), scale, offset);
#pragma GCC unroll 8
    for (int v = 0; v < 8 / kParts; ++v) {
        const int64_t left = count - 32 * kParts * v;
        Levels vector = {};
        if (left > 0) F::levels(b, v, left > 32 ? kParts : 1, vector);
        __builtin_memcpy(levels + 32 * kParts * v, &vector, sizeof vector);
    }
}

}  // namespace nib::cpu::NIB_ISA
