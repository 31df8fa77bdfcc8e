// Blocks of 32 values with one scale: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1. `d` and `m` are half floats.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "quant/quantize.h"

namespace nib::quant {
namespace {

using detail::load_half, detail::store_half;

constexpr int kSize = 32;
constexpr float kHalfMax = 65504;

// Reciprocal for scaling values down to levels; 0 for a scale that is 0 or so small (below 2^-128) that its reciprocal is
// infinite, which a half float stores as 0 anyway.
float reciprocal(float d) {
    const float inverse = d != 0 ? 1.0f / d : 0.0f;
    return std::isfinite(inverse) ? inverse : 0.0f;
}

// The largest magnitude; for numbers that are not NaN, bits are ordered as magnitudes.
float largest(const float* x) {
    uint32_t bits = 0;
    for (int i = 0; i < kSize; ++i) bits = std::max(bits, std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFF);
    return std::bit_cast<float>(bits);
}

// The first value of largest magnitude, with its sign; +0 when all are zero.
float extreme(const float* x) {
    const float magnitude = largest(x);
    return magnitude == 0 ? 0 : *std::find_if(x, x + kSize - 1, [&](float v) { return std::abs(v) == magnitude; });
}

// Levels in nibbles: byte k holds value k in its low and value k + 16 in its high half.
void store_nibbles(const uint8_t* levels, uint8_t* bytes) {
    for (int k = 0; k < 16; ++k) bytes[k] = static_cast<uint8_t>((levels[k] & 15) | (levels[k + 16] & 15) << 4);
}

void load_nibbles(const uint8_t* bytes, int8_t* levels) {
    for (int k = 0; k < 16; ++k) {
        levels[k] = bytes[k] & 15;
        levels[k + 16] = static_cast<int8_t>(bytes[k] >> 4);
    }
}

// Fifth bits: bit i of the four bytes, taken as a little-endian number, is bit 4 of value i.
void store_high(const uint8_t* levels, uint8_t* bytes) {
    uint32_t high = 0;
    for (int i = 0; i < kSize; ++i) high |= static_cast<uint32_t>(levels[i] >> 4 & 1) << i;
    std::memcpy(bytes, &high, sizeof high);
}

void load_high(const uint8_t* bytes, int8_t* levels) {
    uint32_t high;
    std::memcpy(&high, bytes, sizeof high);
    for (int i = 0; i < kSize; ++i) levels[i] = static_cast<int8_t>(levels[i] | (high >> i & 1) << 4);
}

// Q8_0, 34 bytes: d (2), q (32 signed bytes). value[i] = d q[i].
// d = max |x| / 127, q = x / d rounded to nearest, ties away from zero.
void encode(const float* x, BlockQ8_0& b) {
    const float d = largest(x) / 127, inverse = reciprocal(d);
    store_half(b.d, d);
    int32_t levels[kSize];
    for (int i = 0; i < kSize; ++i) {
        const float level = x[i] * inverse;
        const auto whole = static_cast<int32_t>(level);
        const float rest = level - static_cast<float>(whole);  // exact
        levels[i] = whole + (rest >= 0.5f) - (rest <= -0.5f);
    }
    for (int i = 0; i < kSize; ++i) b.q[i] = static_cast<uint8_t>(levels[i]);
}

void decode(const BlockQ8_0& b, Decoded& out) {
    for (int i = 0; i < kSize; ++i) out.q[i] = static_cast<int8_t>(b.q[i]);
}

// Q4_0, 18 bytes: d (2), q (16: nibbles). value[i] = d (q[i] - 8), q 0 ... 15.
// Q5_0, 22 bytes: d (2), high (4), q (16). value[i] = d (q[i] - 16), q 0 ... 31.
// The value of largest magnitude gets the level -8 (-16): d = x_extreme / -8, of either sign.
template <int bias, class Block>
void encode_symmetric(const float* x, Block& b, uint8_t* levels) {
    const float d = extreme(x) / -bias, inverse = reciprocal(d);
    store_half(b.d, d);
    for (int i = 0; i < kSize; ++i) {
        const auto level = static_cast<int32_t>(x[i] * inverse + (bias + 0.5f));
        levels[i] = static_cast<uint8_t>(std::min(level, 2 * bias - 1));
    }
    store_nibbles(levels, b.q);
}

void encode(const float* x, BlockQ4_0& b) {
    uint8_t levels[kSize];
    encode_symmetric<8>(x, b, levels);
}

void encode(const float* x, BlockQ5_0& b) {
    uint8_t levels[kSize];
    encode_symmetric<16>(x, b, levels);
    store_high(levels, b.high);
}

void decode(const BlockQ4_0& b, Decoded& out) {
    load_nibbles(b.q, out.q);
    for (int i = 0; i < kSize; ++i) out.q[i] = static_cast<int8_t>(out.q[i] - 8);
}

void decode(const BlockQ5_0& b, Decoded& out) {
    load_nibbles(b.q, out.q);
    load_high(b.high, out.q);
    for (int i = 0; i < kSize; ++i) out.q[i] = static_cast<int8_t>(out.q[i] - 16);
}

// Q4_1, 20 bytes: d (2), m (2), q (16). value[i] = d q[i] + m, q 0 ... 15.
// Q5_1, 24 bytes: d (2), m (2), high (4), q (16). value[i] = d q[i] + m, q 0 ... 31.
// m = min x, d = (max x - min x) / 15 (31).
template <int top, class Block>
void encode_affine(const float* x, Block& b, uint8_t* levels) {
    const float m = std::min(*std::min_element(x, x + kSize), kHalfMax), high = *std::max_element(x, x + kSize);
    const float d = (high - m) / top, inverse = reciprocal(d);
    store_half(b.d, d);
    store_half(b.m, m);
    for (int i = 0; i < kSize; ++i) {
        const auto level = static_cast<int32_t>((x[i] - m) * inverse + 0.5f);
        levels[i] = static_cast<uint8_t>(std::min(level, top));
    }
    store_nibbles(levels, b.q);
}

void encode(const float* x, BlockQ4_1& b) {
    uint8_t levels[kSize];
    encode_affine<15>(x, b, levels);
}

void encode(const float* x, BlockQ5_1& b) {
    uint8_t levels[kSize];
    encode_affine<31>(x, b, levels);
    store_high(levels, b.high);
}

void decode(const BlockQ4_1& b, Decoded& out) {
    out.offset[0] = -load_half(b.m);
    load_nibbles(b.q, out.q);
}

void decode(const BlockQ5_1& b, Decoded& out) {
    out.offset[0] = -load_half(b.m);
    load_nibbles(b.q, out.q);
    load_high(b.high, out.q);
}

template <class Block>
void encode_all(const float* values, int64_t count, float low, float high, uint8_t* out) {
    float buffer[kSize];
    for (; count > 0; count -= kSize, values += kSize, out += sizeof(Block)) {
        Block block;
        encode(detail::cleaned(values, kSize, low, high, buffer), block);
        std::memcpy(out, &block, sizeof block);
    }
}

template <class Block>
Decoded decode_one(const void* bytes) {
    Block block;
    std::memcpy(&block, bytes, sizeof block);
    Decoded out;
    out.size = out.group = kSize;
    out.scale[0] = load_half(block.d);
    out.offset[0] = 0;
    decode(block, out);
    return out;
}

}  // namespace

void detail::pack_legacy(DType type, const float* values, int64_t count, uint8_t* blocks) {
    const float top = kHalfMax;
    switch (type) {
        case DType::Q8_0: return encode_all<BlockQ8_0>(values, count, -top * 127, top * 127, blocks);
        case DType::Q4_0: return encode_all<BlockQ4_0>(values, count, -top * 8, top * 8, blocks);
        case DType::Q5_0: return encode_all<BlockQ5_0>(values, count, -top * 16, top * 16, blocks);
        case DType::Q4_1: return encode_all<BlockQ4_1>(values, count, -top, top * 14, blocks);
        case DType::Q5_1: return encode_all<BlockQ5_1>(values, count, -top, top * 30, blocks);
        default: CHECK(false);
    }
}

Decoded detail::decode_legacy(DType type, const void* block) {
    switch (type) {
        case DType::Q8_0: return decode_one<BlockQ8_0>(block);
        case DType::Q4_0: return decode_one<BlockQ4_0>(block);
        case DType::Q5_0: return decode_one<BlockQ5_0>(block);
        case DType::Q4_1: return decode_one<BlockQ4_1>(block);
        case DType::Q5_1: return decode_one<BlockQ5_1>(block);
        default: CHECK(false);
    }
    return {};
}

}  // namespace nib::quant
