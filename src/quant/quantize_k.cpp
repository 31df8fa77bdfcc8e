// Super-blocks of 256 values: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K. `d` and `dmin` are half floats; they scale small integers, one
// per group of 16 or 32 values, which scale the values' levels. Packing is in quantize_k_pack.cpp.
#include <cstring>

#include "core/error.h"
#include "quant/quantize.h"

namespace nib::quant {
namespace {

using detail::load_half;

constexpr int kSize = 256;

// Levels of 2 bits in Q2_K and Q3_K, 64 bytes. Value i = 128 a + 32 j + k (a < 2, j < 4, k < 32) is in byte 32 a + k,
// bits 2 j and 2 j + 1: four runs of 32 values share 32 bytes.
int two_bits(const uint8_t* q, int i) { return q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3; }

// Q2_K, 84 bytes: scales (16), q (64), d (2), dmin (2). 16 groups of 16 values, levels q 0 ... 3 (two_bits).
// scales[g]: low nibble s, high nibble m. value = (d s) q - (dmin m).
void decode(const BlockQ2_K& b, Decoded& out) {
    out.group = 16;
    const float d = load_half(b.d), dmin = load_half(b.dmin);
    for (int g = 0; g < 16; ++g) {
        out.scale[g] = d * static_cast<float>(b.scales[g] & 15);
        out.offset[g] = dmin * static_cast<float>(b.scales[g] >> 4);
    }
    for (int i = 0; i < kSize; ++i) out.q[i] = static_cast<int8_t>(two_bits(b.q, i));
}

// Q3_K, 110 bytes: high (32), q (64), scales (12), d (2). 16 groups of 16 values.
// level = two_bits + 4 h - 4, so -4 ... 3, where h is bit i / 32 of high[i % 32].
// scales: s[g] of 6 bits. Bits 0-3: scales[g % 8], its low nibble for g < 8, its high nibble above; bits 4-5:
// scales[8 + g % 4], bits 2 (g / 4) and up. value = (d (s - 32)) level.
void decode(const BlockQ3_K& b, Decoded& out) {
    out.group = 16;
    const float d = load_half(b.d);
    for (int g = 0; g < 16; ++g) {
        const int low = b.scales[g % 8] >> (g / 8 * 4) & 15, high = b.scales[8 + g % 4] >> (g / 4 * 2) & 3;
        out.scale[g] = d * static_cast<float>((low | high << 4) - 32);
        out.offset[g] = 0;
    }
    for (int i = 0; i < kSize; ++i)
        out.q[i] = static_cast<int8_t>(two_bits(b.q, i) + (b.high[i % 32] >> (i / 32) & 1) * 4 - 4);
}

// The 12 bytes of Q4_K and Q5_K: 8 scales s and 8 minima m of 6 bits.
//     byte k     (k < 4)   bits 0-5 s[k]        bits 6-7: bits 4-5 of s[k + 4]
//     byte k + 4           bits 0-5 m[k]        bits 6-7: bits 4-5 of m[k + 4]
//     byte k + 8           bits 0-3: bits 0-3 of s[k + 4]   bits 4-7: bits 0-3 of m[k + 4]
struct Scales {
    uint8_t s[8], m[8];
};

Scales load_scales(const uint8_t* bytes) {
    Scales out;
    for (int k = 0; k < 4; ++k) {
        out.s[k] = bytes[k] & 63;
        out.m[k] = bytes[k + 4] & 63;
        out.s[k + 4] = static_cast<uint8_t>((bytes[k + 8] & 15) | bytes[k] >> 6 << 4);
        out.m[k + 4] = static_cast<uint8_t>(bytes[k + 8] >> 4 | bytes[k + 4] >> 6 << 4);
    }
    return out;
}

// Levels of 4 bits in Q4_K and Q5_K, 128 bytes. Value i = 64 a + 32 j + k (a < 4, j < 2, k < 32) is in byte 32 a + k, in
// the low nibble for j = 0, in the high one for j = 1.
int four_bits(const uint8_t* q, int i) { return q[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15; }

template <class Block>
void decode_scales(const Block& b, Decoded& out) {
    out.group = 32;
    const float d = load_half(b.d), dmin = load_half(b.dmin);
    const Scales scales = load_scales(b.scales);
    for (int g = 0; g < 8; ++g) {
        out.scale[g] = d * static_cast<float>(scales.s[g]);
        out.offset[g] = dmin * static_cast<float>(scales.m[g]);
    }
}

// Q4_K, 144 bytes: d (2), dmin (2), scales (12), q (128). 8 groups of 32 values, levels q 0 ... 15 (four_bits).
// value = (d s) q - (dmin m).
void decode(const BlockQ4_K& b, Decoded& out) {
    decode_scales(b, out);
    for (int i = 0; i < kSize; ++i) out.q[i] = static_cast<int8_t>(four_bits(b.q, i));
}

// Q5_K, 176 bytes: d (2), dmin (2), scales (12), high (32), q (128). As Q4_K, and bit 4 of the level is bit i / 32 of
// high[i % 32].
void decode(const BlockQ5_K& b, Decoded& out) {
    decode_scales(b, out);
    for (int i = 0; i < kSize; ++i)
        out.q[i] = static_cast<int8_t>(four_bits(b.q, i) | (b.high[i % 32] >> (i / 32) & 1) << 4);
}

// Q6_K, 210 bytes: low (128), high (64), scales (16 signed bytes s), d (2). 16 groups of 16 values.
// Value i = 128 a + 32 j + k (a < 2, j < 4, k < 32): bits 0-3 of its level are in low[64 a + 32 (j % 2) + k], in the low
// nibble for j < 2, else in the high one; bits 4-5 are in high[32 a + k], bits 2 j and 2 j + 1. value = (d s) (level - 32).
void decode(const BlockQ6_K& b, Decoded& out) {
    out.group = 16;
    const float d = load_half(b.d);
    for (int g = 0; g < 16; ++g) {
        out.scale[g] = d * static_cast<float>(static_cast<int8_t>(b.scales[g]));
        out.offset[g] = 0;
    }
    for (int i = 0; i < kSize; ++i) {
        const int low = b.low[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
        out.q[i] = static_cast<int8_t>((low | two_bits(b.high, i) << 4) - 32);
    }
}

template <class Block>
Decoded decode_one(const void* bytes) {
    Block block;
    std::memcpy(&block, bytes, sizeof block);
    Decoded out;
    out.size = kSize;
    decode(block, out);
    return out;
}

}  // namespace

Decoded detail::decode_k(DType type, const void* block) {
    switch (type) {
        case DType::Q2_K: return decode_one<BlockQ2_K>(block);
        case DType::Q3_K: return decode_one<BlockQ3_K>(block);
        case DType::Q4_K: return decode_one<BlockQ4_K>(block);
        case DType::Q5_K: return decode_one<BlockQ5_K>(block);
        case DType::Q6_K: return decode_one<BlockQ6_K>(block);
        default: CHECK(false);
    }
    return {};
}

}  // namespace nib::quant
