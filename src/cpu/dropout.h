// Dropout factors, a group of 128 at a time: the vector form of dropout_factor in core/philox.h, equal to it bit by bit.
// Compiled once per instruction set like simd.h.
#pragma once

#include "cpu/simd.h"

namespace nib::cpu::NIB_ISA {

constexpr int64_t kDropoutGroup = 128;  // elements whose factors come from 16 Philox blocks

/// Constants of one mask.
struct DropoutMask {
    uint64_t key;
    uint32_t stream, step, threshold;
    float scale;  // factor of the elements that are kept
};

[[gnu::always_inline]] inline DropoutMask dropout_mask(const Call& call) {
    const uint32_t threshold = call.p.dropout;
    return {call.step->seed, call.p.stream, call.step->index, threshold, 65536.0f / static_cast<float>(65536 - threshold)};
}

// Vectors of kWidth 32-bit words, as Philox needs them. On x86, where a 32x32 -> 64 bit product takes the even words, a
// Words holds the even blocks' words and, in another register, the odd blocks' words, each in the low half of 64 bits; what
// is in the high half does not matter. On Arm it holds all words of adjacent blocks.
#if defined(__AVX512BW__)
using vu = __m512i;
[[gnu::always_inline]] inline vu splat(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
[[gnu::always_inline]] inline vu add(vu a, vu b) { return _mm512_add_epi32(a, b); }
[[gnu::always_inline]] inline vu xor3(vu a, vu b, vu c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
[[gnu::always_inline]] inline vu high_word(vu a) { return _mm512_srli_epi64(a, 32); }
[[gnu::always_inline]] inline vu multiply_even(vu a, vu b) { return _mm512_mul_epu32(a, b); }
[[gnu::always_inline]] inline vu interleave(vu even, vu odd) {
    return _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA);
}
[[gnu::always_inline]] inline vu low_half(vu a) { return _mm512_and_si512(a, _mm512_set1_epi32(0xFFFF)); }
[[gnu::always_inline]] inline vu high_half(vu a) { return _mm512_srli_epi32(a, 16); }
[[gnu::always_inline]] inline vf keep_from(vu bits, vu threshold, vf scale) {
    return _mm512_maskz_mov_ps(_mm512_cmpge_epu32_mask(bits, threshold), scale);
}
#elif defined(__AVX2__)
using vu = __m256i;
[[gnu::always_inline]] inline vu splat(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
[[gnu::always_inline]] inline vu add(vu a, vu b) { return _mm256_add_epi32(a, b); }
[[gnu::always_inline]] inline vu xor3(vu a, vu b, vu c) { return _mm256_xor_si256(_mm256_xor_si256(b, c), a); }
[[gnu::always_inline]] inline vu high_word(vu a) { return _mm256_srli_epi64(a, 32); }
[[gnu::always_inline]] inline vu multiply_even(vu a, vu b) { return _mm256_mul_epu32(a, b); }
[[gnu::always_inline]] inline vu interleave(vu even, vu odd) {
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}
[[gnu::always_inline]] inline vu low_half(vu a) { return _mm256_and_si256(a, _mm256_set1_epi32(0xFFFF)); }
[[gnu::always_inline]] inline vu high_half(vu a) { return _mm256_srli_epi32(a, 16); }
[[gnu::always_inline]] inline vf keep_from(vu bits, vu threshold, vf scale) {
    return _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(threshold, bits)), scale);
}
#elif defined(__SSE4_2__)
using vu = __m128i;
[[gnu::always_inline]] inline vu splat(uint32_t x) { return _mm_set1_epi32(static_cast<int>(x)); }
[[gnu::always_inline]] inline vu add(vu a, vu b) { return _mm_add_epi32(a, b); }
[[gnu::always_inline]] inline vu xor3(vu a, vu b, vu c) { return _mm_xor_si128(_mm_xor_si128(b, c), a); }
[[gnu::always_inline]] inline vu high_word(vu a) { return _mm_srli_epi64(a, 32); }
[[gnu::always_inline]] inline vu multiply_even(vu a, vu b) { return _mm_mul_epu32(a, b); }
[[gnu::always_inline]] inline vu interleave(vu even, vu odd) {
    return _mm_blend_epi16(even, _mm_slli_epi64(odd, 32), 0xCC);
}
[[gnu::always_inline]] inline vu low_half(vu a) { return _mm_and_si128(a, _mm_set1_epi32(0xFFFF)); }
[[gnu::always_inline]] inline vu high_half(vu a) { return _mm_srli_epi32(a, 16); }
[[gnu::always_inline]] inline vf keep_from(vu bits, vu threshold, vf scale) {
    return _mm_andnot_ps(_mm_castsi128_ps(_mm_cmpgt_epi32(threshold, bits)), scale);
}
#else
using vu = uint32x4_t;
[[gnu::always_inline]] inline vu splat(uint32_t x) { return vdupq_n_u32(x); }
[[gnu::always_inline]] inline vu add(vu a, vu b) { return vaddq_u32(a, b); }
[[gnu::always_inline]] inline vu xor3(vu a, vu b, vu c) { return veorq_u32(veorq_u32(b, c), a); }
[[gnu::always_inline]] inline vu low_half(vu a) { return vandq_u32(a, vdupq_n_u32(0xFFFF)); }
[[gnu::always_inline]] inline vu high_half(vu a) { return vshrq_n_u32(a, 16); }
[[gnu::always_inline]] inline vf keep_from(vu bits, vu threshold, vf scale) {
    return vreinterpretq_f32_u32(vandq_u32(vcgeq_u32(bits, threshold), vreinterpretq_u32_f32(scale)));
}
#endif

#if defined(__aarch64__)
struct Words {
    vu all;
};
[[gnu::always_inline]] inline Words splat_words(uint32_t x) { return {splat(x)}; }
[[gnu::always_inline]] inline Words split(vu adjacent) { return {adjacent}; }
[[gnu::always_inline]] inline vu join(Words w) { return w.all; }
[[gnu::always_inline]] inline void multiply(Words a, vu b, Words& high, Words& low) {
    const vu p = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a.all), vget_low_u32(b)));
    const vu q = vreinterpretq_u32_u64(vmull_high_u32(a.all, b));
    high.all = vuzp2q_u32(p, q);
    low.all = vuzp1q_u32(p, q);
}
[[gnu::always_inline]] inline Words xor3(Words a, Words b, vu c) { return {xor3(a.all, b.all, c)}; }
#else
struct Words {
    vu even, odd;
};
[[gnu::always_inline]] inline Words splat_words(uint32_t x) { return {splat(x), splat(x)}; }
[[gnu::always_inline]] inline Words split(vu adjacent) { return {adjacent, high_word(adjacent)}; }
[[gnu::always_inline]] inline vu join(Words w) { return interleave(w.even, w.odd); }
[[gnu::always_inline]] inline void multiply(Words a, vu b, Words& high, Words& low) {
    low.even = multiply_even(a.even, b);
    low.odd = multiply_even(a.odd, b);
    high.even = high_word(low.even);
    high.odd = high_word(low.odd);
}
[[gnu::always_inline]] inline Words xor3(Words a, Words b, vu c) {
    return {xor3(a.even, b.even, c), xor3(a.odd, b.odd, c)};
}
#endif

constexpr uint32_t kBlocks[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/// The 128 factors of a group, into 128 floats.
inline void dropout_group(const DropoutMask& mask, uint64_t group, float* out) {
    const vu m0 = splat(0xD2511F53), m1 = splat(0xCD9E8D57), w0 = splat(0x9E3779B9), w1 = splat(0xBB67AE85);
    const vu threshold = splat(mask.threshold);
    const vf scale(mask.scale);
    const uint64_t block = group * 16;
    for (int64_t part = 0; part < 16; part += kWidth) {
        vu blocks;
        __builtin_memcpy(&blocks, kBlocks + part, sizeof blocks);
        Words c0 = split(add(splat(static_cast<uint32_t>(block)), blocks));
        Words c1 = splat_words(static_cast<uint32_t>(block >> 32));
        Words c2 = splat_words(mask.stream), c3 = splat_words(mask.step);
        vu k0 = splat(static_cast<uint32_t>(mask.key)), k1 = splat(static_cast<uint32_t>(mask.key >> 32));
        for (int round = 0; round < 10; ++round) {
            Words a_high, a_low, b_high, b_low;
            multiply(c0, m0, a_high, a_low);
            multiply(c2, m1, b_high, b_low);
            c0 = xor3(b_high, c1, k0);
            c1 = b_low;
            c2 = xor3(a_high, c3, k1);
            c3 = a_low;
            k0 = add(k0, w0);
            k1 = add(k1, w1);
        }
        const vu words[4] = {join(c0), join(c1), join(c2), join(c3)};
        for (int w = 0; w < 4; ++w) {
            store(out + w * 32 + part, keep_from(low_half(words[w]), threshold, scale));
            store(out + w * 32 + 16 + part, keep_from(high_half(words[w]), threshold, scale));
        }
    }
}

/// Calls body(i, factors, load, store) for vectors of the elements first + i, 0 <= i < count, of the call's mask, which has
/// Params::dropout > 0. In the body, load(p) and store(p, v) act on the lanes that exist, as in for_each_vector.
template <class Body>
[[gnu::always_inline]] inline void for_each_factor(const Call& call, uint64_t first, int64_t count, Body&& body) {
    const DropoutMask mask = dropout_mask(call);
    alignas(64) float factors[kDropoutGroup];
    for (int64_t i = 0; i < count;) {
        const int64_t begin = static_cast<int64_t>((first + static_cast<uint64_t>(i)) % kDropoutGroup);
        const int64_t n = min(kDropoutGroup - begin, count - i);
        dropout_group(mask, (first + static_cast<uint64_t>(i)) / kDropoutGroup, factors);
        for_each_vector(
            n, [&](int64_t j, auto load, auto store)
                   __attribute__((always_inline)) { body(i + j, load(factors + begin + j), load, store); });
        i += n;
    }
}

/// out[i] = factor of mask element first + i, 0 <= i < count: 0 or 1 / (1 - p); 1 without dropout.
inline void dropout_factors(const Call& call, uint64_t first, int64_t count, float* out) {
    if (call.p.dropout == 0) {
        for_each_vector(
            count, [&](int64_t i, auto, auto store) __attribute__((always_inline)) { store(out + i, vf(1.0f)); });
        return;
    }
    for_each_factor(
        call, first,
        count, [&](int64_t i, vf factor, auto, auto store) __attribute__((always_inline)) { store(out + i, factor); });
}

/// x[i] *= factor of mask element first + i.
inline void apply_dropout(const Call& call, uint64_t first, int64_t count, float* x) {
    if (call.p.dropout == 0) return;
    for_each_factor(
        call, first, count, [&](int64_t i, vf factor, auto load, auto store) __attribute__((always_inline)) {
            store(x + i, load(x + i) * factor);
        });
}

/// y[i] = residual[i] + x[i] * factor of mask element first + i; y may be x or residual.
inline void add_dropped(const Call& call, uint64_t first, int64_t count, const float* x, const float* residual, float* y) {
    if (call.p.dropout == 0) {
        for_each_vector(
            count, [&](int64_t i, auto load, auto store)
                       __attribute__((always_inline)) { store(y + i, load(residual + i) + load(x + i)); });
        return;
    }
    for_each_factor(
        call, first, count, [&](int64_t i, vf factor, auto load, auto store) __attribute__((always_inline)) {
            store(y + i, load(residual + i) + load(x + i) * factor);
        });
}

}  // namespace nib::cpu::NIB_ISA
