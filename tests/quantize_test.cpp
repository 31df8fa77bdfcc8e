// Quantized tensor formats: unpacked bit for bit as published, packed as ggml does or better, whatever the input.
// tests/goldens/make_quantize_goldens.py says what the golden file holds.
#include "quant/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/error.h"
#include "quantize_case.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;

template <class T>
uint64_t hash(const std::vector<T>& data) {
    uint64_t sum = 0;
    for (size_t i = 0; i < data.size(); ++i) sum += mix(data[i] + i * 0x9E3779B97F4A7C15);
    return sum;
}

class GoldenFile {
public:
    template <class T>
    T next() {
        return bytes<T>(1)[0];
    }
    template <class T>
    std::vector<T> bytes(size_t count) {
        if (data_.size() - place_ < count * sizeof(T)) fail("quantize.bin is too short");
        std::vector<T> out(count);
        std::memcpy(out.data(), data_.data() + place_, count * sizeof(T));
        place_ += count * sizeof(T);
        return out;
    }
    /// Calls section(type) for each format up to the mark that ends a section.
    template <class Section>
    void each(Section&& section) {
        for (uint32_t type; (type = next<uint32_t>()) != 0xFFFFFFFF;) section(static_cast<DType>(type));
    }

private:
    const std::string data_ = read_file(golden("quantize.bin"));
    size_t place_ = 0;
};

std::vector<uint32_t> words_of(const std::vector<float>& values) {
    std::vector<uint32_t> out;
    for (const float value : values) out.push_back(std::isnan(value) ? 0x7FC00000 : bits(value));
    return out;
}

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
    return sum;
}

// ---- half floats ---------------------------------------------------------------------------------------------------
TEST(Quantize, HalfFloatsOfAllBitPatterns) {
    for (uint32_t h = 0; h < 0x10000; ++h) {
        const auto half = static_cast<uint16_t>(h);
        const int exponent = h >> 10 & 31, fraction = h & 1023;
        const float value = quant::from_f16(half);
        ASSERT_EQ(std::signbit(value), h >= 0x8000) << h;
        if (exponent == 31 && fraction != 0) {
            ASSERT_EQ(bits(value), (h & 0x8000) << 16 | 0x7FC00000 | static_cast<uint32_t>(fraction) << 13) << h;
            ASSERT_EQ(quant::to_f16(value), h | 0x200) << h;
            const float signalling = std::bit_cast<float>(bits(value) & ~0x400000u);
            if (std::isnan(signalling)) {
                ASSERT_EQ(quant::to_f16(signalling), h | 0x200) << h;
            }
            continue;
        }
        const double magnitude = exponent == 31  ? static_cast<double>(kInf)
                                 : exponent == 0 ? std::ldexp(fraction, -24)
                                                 : std::ldexp(1024 + fraction, exponent - 25);
        ASSERT_EQ(std::abs(static_cast<double>(value)), magnitude) << h;
        ASSERT_EQ(quant::to_f16(value), half) << h;
    }
}

TEST(Quantize, HalfFloatsRoundToNearestEven) {
    for (uint32_t h = 0; h < 0x7C00; ++h)
        for (const uint32_t sign : {0u, 0x8000u}) {
            const auto low = static_cast<uint16_t>(h | sign), high = static_cast<uint16_t>((h + 1) | sign);
            const double a = quant::from_f16(low), b = h == 0x7BFF ? (sign ? -65536.0 : 65536.0) : quant::from_f16(high);
            const auto middle = static_cast<float>((a + b) / 2);  // exact
            const float outwards = sign ? -kInf : kInf;
            ASSERT_EQ(quant::to_f16(middle), h % 2 == 0 ? low : high) << h;
            ASSERT_EQ(quant::to_f16(std::nextafter(middle, 0.0f)), low) << h;
            ASSERT_EQ(quant::to_f16(std::nextafter(middle, outwards)), high) << h;
        }
    for (const float huge : {65520.0f, 65536.0f, 1e6f, kMax, kInf}) {
        EXPECT_EQ(quant::to_f16(huge), 0x7C00);
        EXPECT_EQ(quant::to_f16(-huge), 0xFC00);
    }
    for (const float tiny : {0.0f, 1e-45f, 1e-38f, 1e-30f, 0x1p-25f}) {
        EXPECT_EQ(quant::to_f16(tiny), 0);
        EXPECT_EQ(quant::to_f16(-tiny), 0x8000);
    }
}

TEST(Quantize, Bfloats) {
    for (uint32_t h = 0; h < 0x10000; ++h) {
        const auto half = static_cast<uint16_t>(h);
        const float value = quant::from_bf16(half);
        const bool nan = (h & 0x7FFF) > 0x7F80;
        ASSERT_EQ(bits(value), h << 16 | (nan ? 0x400000 : 0)) << h;
        ASSERT_EQ(quant::to_bf16(value), nan ? (h | 0x40) : h) << h;
        if ((h & 0x7FFF) >= 0x7F80) {
            ASSERT_EQ(quant::to_bf16(std::bit_cast<float>(h << 16 | 0xFFFF)), h | 0x40)
                << h;  // a NaN never becomes infinite
            continue;
        }
        ASSERT_EQ(quant::to_bf16(std::bit_cast<float>(h << 16 | 0x7FFF)), h) << h;
        ASSERT_EQ(quant::to_bf16(std::bit_cast<float>(h << 16 | 0x8000)), h + h % 2) << h;
        ASSERT_EQ(quant::to_bf16(std::bit_cast<float>(h << 16 | 0x8001)), h + 1) << h;
    }
}

TEST(Quantize, PlainTypesInPiecesOfAnyLength) {
    std::vector<float> values = gauss(3, 200);
    values[5] = kNan, values[6] = kInf, values[7] = -kInf, values[8] = 1e-7f, values[9] = -0.0f;
    for (const size_t count : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{200}}) {
        const std::vector<float> some(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
        for (const DType type : kPlain) {
            const std::vector<float> back = round_trip(type, some);
            for (size_t i = 0; i < count; ++i) {
                const float want = type == DType::F16    ? quant::from_f16(quant::to_f16(some[i]))
                                   : type == DType::BF16 ? quant::from_bf16(quant::to_bf16(some[i]))
                                                         : some[i];
                EXPECT_EQ(bits(back[i]), bits(want)) << dtype_info(type)->name << " " << i;
            }
        }
    }
}

// ---- blocks --------------------------------------------------------------------------------------------------------
TEST(Quantize, AgreesWithGgml) {
    GoldenFile golden;
    int unpacks = 0, packs = 0, searches = 0;
    golden.each([&](DType type) {
        SCOPED_TRACE(dtype_info(type)->name);
        const auto blocks = golden.bytes<uint8_t>(golden.next<uint32_t>());
        const std::vector<uint32_t> values = words_of(unpacked(type, blocks));
        EXPECT_EQ(values, golden.bytes<uint32_t>(values.size()));
        const auto size = static_cast<size_t>(dtype_info(type)->block_bytes);
        const auto many = random_bytes(100 + static_cast<uint64_t>(type), 4096 * size);
        EXPECT_EQ(hash(words_of(unpacked(type, many))), golden.next<uint64_t>());
        ++unpacks;
    });
    const std::vector<float> plain = gauss(7, 1 << 16), heavy = gauss(8, 1 << 16, 3);
    golden.each([&](DType type) {
        SCOPED_TRACE(dtype_info(type)->name);
        EXPECT_EQ(hash(packed(type, plain)), golden.next<uint64_t>());
        EXPECT_EQ(hash(packed(type, heavy)), golden.next<uint64_t>());
        ++packs;
    });
    golden.each([&](DType type) {
        SCOPED_TRACE(dtype_info(type)->name);
        for (const std::vector<float>& values : {plain, heavy}) {
            const double ggml = golden.next<double>(), error = squared_error(round_trip(type, values), values);
            EXPECT_LT(error, ggml);
            EXPECT_GT(error, 0.5 * ggml);  // what nobody can do is a mistake of the test
        }
        ++searches;
    });
    EXPECT_EQ(unpacks, 10);
    EXPECT_EQ(packs, 5);
    EXPECT_EQ(searches, 3);
}

TEST(Quantize, NumbersOfDtype) {
    EXPECT_EQ(dtype_bytes(DType::Q8_0, 32), sizeof(quant::BlockQ8_0));
    EXPECT_EQ(dtype_bytes(DType::Q4_0, 32), sizeof(quant::BlockQ4_0));
    EXPECT_EQ(dtype_bytes(DType::Q4_1, 32), sizeof(quant::BlockQ4_1));
    EXPECT_EQ(dtype_bytes(DType::Q5_0, 32), sizeof(quant::BlockQ5_0));
    EXPECT_EQ(dtype_bytes(DType::Q5_1, 32), sizeof(quant::BlockQ5_1));
    EXPECT_EQ(dtype_bytes(DType::Q2_K, 256), sizeof(quant::BlockQ2_K));
    EXPECT_EQ(dtype_bytes(DType::Q3_K, 256), sizeof(quant::BlockQ3_K));
    EXPECT_EQ(dtype_bytes(DType::Q4_K, 256), sizeof(quant::BlockQ4_K));
    EXPECT_EQ(dtype_bytes(DType::Q5_K, 256), sizeof(quant::BlockQ5_K));
    EXPECT_EQ(dtype_bytes(DType::Q6_K, 256), sizeof(quant::BlockQ6_K));
    for (const DType type : kQuantized) {
        EXPECT_TRUE(quant::can_unpack(type));
        EXPECT_EQ(quant::can_pack(type), type != DType::Q2_K && type != DType::Q3_K);
    }
    for (const DType type : kPlain) EXPECT_TRUE(quant::can_unpack(type) && quant::can_pack(type));
    for (const DType type : {DType::I8, DType::I32, DType::F64})
        EXPECT_FALSE(quant::can_unpack(type) || quant::can_pack(type));
}

// Half the smallest step of a half float, which a scale below 2^-14 may be off by, times the largest level.
constexpr double kScaleStep = 0x1p-25 * 128;

// The largest error of a value, as a part of the largest magnitude in its block: half a step, and the scale's rounding.
double error_bound(DType type) {
    switch (type) {
        case DType::Q8_0: return 1.0 / 254 + 0x1p-11;
        case DType::Q4_0: return 1.0 / 8 + 0x1p-11;   // the largest value of the other sign is cut off
        case DType::Q5_0: return 1.0 / 16 + 0x1p-11;  //
        case DType::Q4_1: return 1.0 / 15 + 0x1p-10;
        case DType::Q5_1: return 1.0 / 31 + 0x1p-10;
        case DType::Q4_K: return 0.12;
        case DType::Q5_K: return 0.06;
        case DType::Q6_K: return 0.045;
        case DType::F16: return 0x1p-11;
        case DType::BF16: return 0x1p-8;
        default: return 0;
    }
}

template <class Check>
void for_all_packable(Check&& check) {
    for (const DType type : kQuantized)
        if (quant::can_pack(type)) {
            SCOPED_TRACE(dtype_info(type)->name);
            check(type);
        }
}

TEST(Quantize, ErrorOfARoundTripIsBounded) {
    for_all_packable([](DType type) {
        const auto size = static_cast<size_t>(dtype_info(type)->block_size);
        for (const float scale : {1.0f, 1e-3f, 1e3f})
            for (const int power : {1, 3}) {
                std::vector<float> values = gauss(11, 1 << 13, power);
                for (float& value : values) value *= scale;
                const std::vector<float> back = round_trip(type, values);
                for (size_t b = 0; b < values.size(); b += size) {
                    double largest = 0, error = 0;
                    for (size_t i = b; i < b + size; ++i) {
                        largest = std::max(largest, std::abs(static_cast<double>(values[i])));
                        error = std::max(error, std::abs(static_cast<double>(values[i]) - back[i]));
                    }
                    ASSERT_LE(error, largest * error_bound(type) + kScaleStep)
                        << "block " << b / size << " scale " << scale;
                }
            }
    });
}

TEST(Quantize, PackingAgainChangesNothing) {
    const std::vector<float> values = gauss(12, 1 << 14);
    for_all_packable([&](DType type) {
        const std::vector<float> once = round_trip(type, values), twice = round_trip(type, once);
        // The search of the K formats need not find the very grid again, but one that is nearly as good.
        if (is_k(type))
            EXPECT_LT(squared_error(once, twice), 0.02 * squared_error(once, values));
        else
            EXPECT_EQ(words_of(once), words_of(twice));
    });
}

TEST(Quantize, ZerosAndConstants) {
    for_all_packable([](DType type) {
        for (const float zero : {0.0f, -0.0f, 1e-45f, -1e-40f, 1e-12f}) {
            for (const float value : round_trip(type, std::vector<float>(256, zero))) ASSERT_EQ(value, 0) << zero;
        }
        for (const float constant : {1.0f, -1.0f, 0.37f, -1234.5f, 3e-4f, -60000.0f})
            for (const float value : round_trip(type, std::vector<float>(256, constant)))
                ASSERT_NEAR(value, constant, std::abs(constant) * 4e-3 + kScaleStep) << constant;
    });
}

TEST(Quantize, SmallNumbersKeepWhatTheFormatCanHold) {
    // Far below a half float's normal range, down to its smallest step: never worse than writing zeros.
    for (const DType type : {DType::Q4_K, DType::Q5_K, DType::Q6_K})
        for (const float scale : {1e-4f, 1e-5f, 1e-6f, 3e-7f, 1e-7f, 3e-8f, 1e-8f, 1e-30f}) {
            std::vector<float> values = gauss(13, 1 << 12);
            for (float& value : values) value *= scale;
            const double error = squared_error(round_trip(type, values), values);
            EXPECT_LE(error, squared_error(values, std::vector<float>(values.size())))
                << dtype_info(type)->name << " " << scale;
        }
}

TEST(Quantize, HostileNumbers) {
    for_all_packable([](DType type) {
        const auto size = static_cast<size_t>(dtype_info(type)->block_size);
        std::vector<float> values = gauss(14, 8 * size);
        const std::vector<float> hostile = {kNan, kInf, -kInf, kMax, -kMax, 1e30f, -1e30f, 1e-45f, -0.0f, -kNan, 1e8f};
        for (size_t i = 0; i < 2 * size; ++i) values[i] = hostile[mix(i) % hostile.size()];
        for (size_t i = 2 * size; i < 3 * size; ++i) values[i] = kNan;
        for (size_t i = 3 * size; i < 4 * size; ++i) values[i] = i % 2 ? kMax : -kMax;
        values[5 * size] = kNan;
        values[6 * size + 1] = kInf;
        const std::vector<float> back = round_trip(type, values);
        for (size_t i = 0; i < back.size(); ++i) ASSERT_TRUE(std::isfinite(back[i])) << i;
        for (size_t i = 2 * size; i < 3 * size; ++i) ASSERT_EQ(back[i], 0);
        for (size_t i = 3 * size; i < 4 * size; ++i) ASSERT_TRUE(i % 2 ? back[i] > 6e4 : back[i] < -6e4) << back[i];
        // A NaN counts as 0 and harms nobody else in its block.
        std::vector<float> clean(values.begin() + static_cast<std::ptrdiff_t>(5 * size),
                                 values.begin() + static_cast<std::ptrdiff_t>(6 * size));
        clean[0] = 0;
        const std::vector<float> want = round_trip(type, clean);
        for (size_t i = 0; i < size; ++i) ASSERT_EQ(back[5 * size + i], want[i]);
        EXPECT_GT(back[6 * size + 1], 6e4);
    });
}

TEST(Quantize, RandomBitsAsFloats) {
    for_all_packable([](DType type) {
        std::vector<float> values(1 << 14);
        for (size_t i = 0; i < values.size(); ++i) values[i] = std::bit_cast<float>(static_cast<uint32_t>(word(15, i)));
        for (const float value : round_trip(type, values)) ASSERT_TRUE(std::isfinite(value));
        // The same with one range of exponents per block, so that small numbers are not lost beside large ones.
        for (size_t i = 0; i < values.size(); ++i)
            values[i] = std::ldexp(gauss(16, 1)[0] + static_cast<float>(word(16, i) % 1000) / 500 - 1,
                                   static_cast<int>(word(17, i / 256) % 300) - 170 - static_cast<int>(word(18, i) % 8));
        for (const float value : round_trip(type, values)) ASSERT_TRUE(std::isfinite(value));
    });
}

TEST(Quantize, BlocksAtAnyAddress) {
    for (const DType type : kQuantized) {
        const std::vector<uint8_t> blocks = ordinary_blocks(type, 2);
        std::vector<uint8_t> moved(blocks.size() + 1);
        std::copy(blocks.begin(), blocks.end(), moved.begin() + 1);
        const auto count = 2 * dtype_info(type)->block_size;
        std::vector<float> out(static_cast<size_t>(count));
        quant::unpack(type, moved.data() + 1, count, out.data());
        EXPECT_EQ(words_of(out), words_of(unpacked(type, blocks)));
        if (!quant::can_pack(type)) continue;
        quant::pack(type, out.data(), count, moved.data() + 1);
        EXPECT_EQ(std::vector<uint8_t>(moved.begin() + 1, moved.end()), packed(type, out));
    }
    for (const DType type : kPlain) {
        const std::vector<float> values = gauss(2, 100);
        std::vector<uint8_t> moved(dtype_bytes(type, 100) + 1);
        std::vector<float> out(100);
        quant::pack(type, values.data(), 100, moved.data() + 1);
        quant::unpack(type, moved.data() + 1, 100, out.data());
        EXPECT_EQ(words_of(out), words_of(round_trip(type, values)));
    }
}

TEST(Quantize, CountsMustBeWholeBlocks) {
    std::vector<float> values(256);
    std::vector<uint8_t> blocks(2048);
    std::vector<quant::Activation32> runs(8);
    EXPECT_THROW(quant::pack(DType::Q8_0, values.data(), 31, blocks.data()), Error);
    EXPECT_THROW(quant::unpack(DType::Q4_K, blocks.data(), 128, values.data()), Error);
    EXPECT_THROW(quant::pack(DType::Q2_K, values.data(), 256, blocks.data()), Error);
    EXPECT_THROW(quant::unpack(DType::I32, blocks.data(), 256, values.data()), Error);
    EXPECT_THROW(quant::decode(DType::F16, blocks.data()), Error);
    EXPECT_THROW(quant::quantize_activations(values.data(), 33, runs.data()), Error);
    EXPECT_THROW(quant::dot(DType::Q8_0, blocks.data(), values.data(), 31), Error);
    EXPECT_THROW(quant::dot(DType::Q8_0, blocks.data(), runs.data(), -32), Error);
    EXPECT_THROW(quant::dot(DType::Q4_K, blocks.data(), runs.data(), 256), Error);
}

}  // namespace
}  // namespace nib
