// Random numbers against published ones, and the dropout masks that are made of them.
#include "core/philox.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "double_op.h"

namespace nib {
namespace {

using namespace test;

using Words = std::array<uint32_t, 4>;

TEST(Philox, PublishedVectors) {  // Random123, kat_vectors: philox4x32 10
    EXPECT_EQ(philox({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff),
              (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, DropoutBitsAreLaidOutAsDocumented) {
    const uint64_t seed = 0x1122334455667788;
    for (const uint64_t group : {uint64_t{0}, uint64_t{3}, uint64_t{1} << 30}) {  // the last needs the second counter word
        for (uint64_t e = 0; e < 128; ++e) {
            const uint64_t block = group * 16 + e % 16, half = e / 16;
            const Words words = philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 6, 17}, seed);
            const uint32_t expected = half % 2 ? words[half / 2] >> 16 : words[half / 2] & 0xFFFF;
            ASSERT_EQ(dropout_bits(seed, 17, 6, group * 128 + e), expected);
        }
    }
}

TEST(Philox, DropoutRate) {
    constexpr int64_t R = 500, C = 400, n = R * C;
    const std::vector<int32_t> ids(R, 0);
    const Vec ones(C, 1.0);
    for (const double rate : {0.01, 0.1, 0.5, 0.9}) {
        using E = operand::Embed;
        DoubleOp op = make_op(Op::Embed, {.B = 1, .T = R, .C = C, .N = 1});
        op.p.dropout = static_cast<uint32_t>(std::lround(rate * 65536));
        const auto mask = [&](uint64_t seed, uint32_t index, uint32_t stream) {
            op.step.seed = seed, op.step.index = index, op.p.stream = stream;
            Vec y(n);
            op({at(E::ids, ids), at(E::wte, ones), at(E::y, y)});
            return y;
        };
        const Vec base = mask(1, 0, 0);
        const double p = op.p.dropout / 65536.0, sigma = std::sqrt(p * (1 - p) / n);
        double dropped = 0, sum = 0, pairs = 0;
        for (size_t i = 0; i < n; ++i) {
            ASSERT_TRUE(base[i] == 0 || std::abs(base[i] - 1 / (1 - p)) < 1e-6);
            dropped += base[i] == 0;
            sum += base[i];
            pairs += i > 0 && base[i] == 0 && base[i - 1] == 0;
        }
        EXPECT_NEAR(dropped / n, p, 4 * sigma) << rate;
        EXPECT_NEAR(sum / n, 1, 4 * sigma / (1 - p)) << rate;  // the mean is kept
        const double pair_tolerance = 5 * p / std::sqrt(static_cast<double>(n)) + 8 * p * sigma;
        EXPECT_NEAR(pairs / n, p * p, pair_tolerance) << rate;  // neighbours are independent
        // Another seed, micro-batch or stream is another mask.
        for (const Vec& other : {mask(2, 0, 0), mask(1, 1, 0), mask(1, 0, 1)}) {
            double both = 0;
            for (size_t i = 0; i < n; ++i) both += base[i] == 0 && other[i] == 0;
            EXPECT_NEAR(both / n, p * p, pair_tolerance) << rate;
        }
        EXPECT_EQ(base, mask(1, 0, 0));
    }
}

}  // namespace
}  // namespace nib
