// Values and blocks for the tests of quantized formats.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/dtype.h"
#include "quant/quantize.h"

namespace nib::test {

inline constexpr DType kQuantized[] = {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0,
                                       DType::Q2_K, DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K};
inline constexpr DType kPlain[] = {DType::F32, DType::F16, DType::BF16};
inline constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kMax = std::numeric_limits<float>::max();

inline bool is_k(DType type) { return dtype_info(type)->block_size == 256; }
inline uint32_t bits(float value) { return std::bit_cast<uint32_t>(value); }

// The pseudo-random numbers of tests/goldens/make_quantize_goldens.py.
inline uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

inline uint64_t word(uint64_t seed, uint64_t i) { return mix((i + 1) * 0x9E3779B97F4A7C15 + (seed << 32)); }

inline std::vector<uint8_t> random_bytes(uint64_t seed, size_t count) {
    std::vector<uint8_t> out(count);
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(word(seed, i / 8) >> (i % 8 * 8));
    return out;
}

inline std::vector<float> gauss(uint64_t seed, size_t count, int power = 1) {
    std::vector<float> out;
    for (size_t i = 0; i < count; ++i) {
        int32_t sum = 0;
        for (uint64_t k = 0; k < 12; ++k) sum += word(seed, i * 3 + k / 4) >> (k % 4 * 16) & 0xFFFF;
        const float value = static_cast<float>(2 * sum - 12 * 65535) / 131072;
        out.push_back(power == 3 ? value * value * value : value);
    }
    return out;
}

inline std::vector<float> unpacked(DType type, const std::vector<uint8_t>& blocks) {
    const DTypeInfo& info = *dtype_info(type);
    std::vector<float> out(blocks.size() / static_cast<size_t>(info.block_bytes) * static_cast<size_t>(info.block_size));
    quant::unpack(type, blocks.data(), static_cast<int64_t>(out.size()), out.data());
    return out;
}

inline std::vector<uint8_t> packed(DType type, const std::vector<float>& values) {
    std::vector<uint8_t> out(dtype_bytes(type, static_cast<int64_t>(values.size())));
    quant::pack(type, values.data(), static_cast<int64_t>(values.size()), out.data());
    return out;
}

inline std::vector<float> round_trip(DType type, const std::vector<float>& values) {
    return unpacked(type, packed(type, values));
}

// Random blocks whose half floats, wherever the format has them, are ordinary numbers of either sign.
inline std::vector<uint8_t> ordinary_blocks(DType type, size_t count) {
    const auto size = static_cast<size_t>(dtype_info(type)->block_bytes);
    std::vector<uint8_t> blocks = random_bytes(static_cast<uint64_t>(type), count * size);
    for (size_t b = 0; b < count; ++b)
        for (const size_t place : {size_t{0}, size_t{2}, size - 4, size - 2}) {
            uint8_t& high = blocks[b * size + place + 1];
            high = static_cast<uint8_t>((high & 0x83) | 0x28);
        }
    return blocks;
}

}  // namespace nib::test
