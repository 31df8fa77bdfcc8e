// Dot products of quantized rows with quantized activations.
#include "quant/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "quantize_case.h"

namespace nib {
namespace {

using namespace test;

TEST(QuantizeDot, Activations) {
    std::vector<float> x = gauss(21, 256 * 6);
    for (size_t i = 256; i < 512; ++i) x[i] = 0;
    for (size_t i = 512; i < 768; ++i) x[i] *= 1e-38f;
    for (size_t i = 768; i < 1024; ++i) x[i] *= 1e37f;
    x[1100] = kNan;
    x[1300] = -kInf;
    std::vector<quant::Activation32> small(x.size() / 32);
    std::vector<quant::Activation256> large(x.size() / 256);
    quant::quantize_activations(x.data(), static_cast<int64_t>(x.size()), small.data());
    quant::quantize_activations(x.data(), static_cast<int64_t>(x.size()), large.data());
    const auto check = [&](size_t first, size_t n, float scale, const int8_t* q, const auto& sum_of) {
        const bool finite = std::all_of(&x[first], &x[first] + n, [](float v) { return std::isfinite(v); });
        float amax = 0;
        for (size_t i = 0; i < n; ++i) amax = std::max(amax, std::abs(x[first + i]));
        int largest = 0, sum = 0;
        for (size_t i = 0; i < n; ++i) {
            largest = std::max(largest, std::abs(int{q[i]}));
            const float back = finite ? scale * static_cast<float>(q[i]) : 0;
            EXPECT_TRUE(!finite || std::abs(back - x[first + i]) <= amax * 0.501f / 127 + 1e-30f) << first + i;
            sum += q[i];
        }
        EXPECT_EQ(sum, sum_of());
        EXPECT_EQ(std::isnan(scale), !finite);
        EXPECT_EQ(largest, finite && amax > 1e-30f ? 127 : 0) << first;
    };
    for (size_t b = 0; b < small.size(); ++b) check(b * 32, 32, small[b].scale, small[b].q, [&] { return small[b].sum; });
    for (size_t b = 0; b < large.size(); ++b) {
        check(b * 256, 256, large[b].scale, large[b].q, [&] {
            int sum = 0;
            for (int g = 0; g < 16; ++g) {
                int part = 0;
                for (int i = 0; i < 16; ++i) part += large[b].q[g * 16 + i];
                EXPECT_EQ(part, large[b].sums[g]);
                sum += large[b].sums[g];
            }
            return sum;
        });
    }
    // Ties go to even: 127 fixes the step at 1.
    std::vector<float> ties(32);
    ties[0] = 127, ties[1] = 0.5f, ties[2] = 1.5f, ties[3] = 2.5f, ties[4] = -0.5f, ties[5] = -1.5f, ties[6] = -2.5f;
    quant::Activation32 tied;
    quant::quantize_activations(ties.data(), 32, &tied);
    const int want[] = {127, 0, 2, 2, 0, -2, -2};
    for (int i = 0; i < 7; ++i) EXPECT_EQ(tied.q[i], want[i]);
    EXPECT_EQ(tied.scale, 1);
    EXPECT_EQ(tied.sum, 127);
}

template <class Activation>
void check_dot(DType type) {
    constexpr int64_t blocks = 12;
    const int64_t size = dtype_info(type)->block_size, count = blocks * size;
    const std::vector<uint8_t> row = ordinary_blocks(type, blocks);
    const std::vector<float> w = unpacked(type, row);
    const std::vector<float> x = gauss(31, static_cast<size_t>(count));
    std::vector<Activation> a(blocks);
    quant::quantize_activations(x.data(), count, a.data());

    double exact = 0, rounded = 0, bound = 0, terms = 0;
    for (int64_t i = 0; i < count; ++i) {
        const auto k = static_cast<size_t>(i);
        const Activation& run = a[static_cast<size_t>(i / size)];
        exact += static_cast<double>(w[k]) * x[k];
        terms += std::abs(static_cast<double>(w[k]) * x[k]);
        rounded += static_cast<double>(w[k]) * run.q[i % size] * run.scale;
        bound += std::abs(static_cast<double>(w[k])) * run.scale * 0.501;
    }
    double magnitude = 0, size_of_terms = 0;
    const double result = quant::dot(type, row.data(), a.data(), count, &magnitude);
    EXPECT_GT(magnitude, 0);
    EXPECT_LE(std::abs(result), magnitude);
    // The unpacked weights are rounded to float after subtracting the offset; the dot product is not.
    EXPECT_NEAR(result, rounded, terms * 0x1p-22);
    EXPECT_NEAR(result, exact, bound);
    EXPECT_NEAR(quant::dot(type, row.data(), x.data(), count, &size_of_terms), exact, 1e-12 * terms);
    EXPECT_NEAR(size_of_terms, terms, 1e-12 * terms);
    EXPECT_EQ(quant::dot(type, row.data(), a.data(), 0), 0);
    a[3].scale = kNan;
    EXPECT_TRUE(std::isnan(quant::dot(type, row.data(), a.data(), count)));
}

TEST(QuantizeDot, IsTheProductOfTheUnpackedRow) {
    for (const DType type : kQuantized) {
        SCOPED_TRACE(dtype_info(type)->name);
        is_k(type) ? check_dot<quant::Activation256>(type) : check_dot<quant::Activation32>(type);
    }
    for (const DType type : kPlain) {
        const std::vector<float> x = gauss(41, 100), w = gauss(42, 100), rounded = round_trip(type, w);
        const std::vector<uint8_t> row = packed(type, w);
        double want = 0;
        for (size_t i = 0; i < 100; ++i) want += static_cast<double>(rounded[i]) * x[i];
        EXPECT_EQ(quant::dot(type, row.data(), x.data(), 100), want);
    }
}

// The integers in the formats multiply in exactly: a kernel may sum them over the whole block of 256.
TEST(QuantizeDot, SumsOfAKBlockStayBelow28Bits) {
    for (const DType type : {DType::Q2_K, DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K}) {
        std::vector<uint8_t> block(static_cast<size_t>(dtype_info(type)->block_bytes), 0xFF);
        quant::Activation256 x{};
        x.scale = 1;
        std::fill_n(x.q, 256, int8_t{127});
        std::fill_n(x.sums, 16, int16_t{127 * 16});
        const uint16_t one = 0x3C00;
        const bool first = type == DType::Q4_K || type == DType::Q5_K, two = first || type == DType::Q2_K;
        std::memcpy(block.data() + (first ? 0 : block.size() - (two ? 4 : 2)), &one, 2);
        if (two) std::memcpy(block.data() + (first ? 2 : block.size() - 2), &one, 2);
        double magnitude = 0;
        quant::dot(type, block.data(), &x, 256, &magnitude);
        EXPECT_LT(magnitude, 0x1p28) << dtype_info(type)->name;
    }
}

}  // namespace
}  // namespace nib
