// Which type a tensor gets, and its bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "model/encode.h"
#include "quant/quantize.h"
#include "test_errors.h"

namespace nib {
namespace {

using namespace test;

TEST(StoredType, RowsOfWholeBlocks) {
    const auto type = [](DType wanted, std::vector<int64_t> shape) { return stored_type(wanted, "x", shape); };
    EXPECT_EQ(type(DType::Q4_K, {3, 512}), DType::Q4_K);
    EXPECT_EQ(type(DType::BF16, {3, 33}), DType::BF16);
    EXPECT_EQ(type(DType::Q8_0, {64}), DType::F32);
    EXPECT_EQ(stored_type(DType::Q8_0, "position_embd.weight", std::vector<int64_t>{4, 33}), DType::F32);
    const auto refused = [&](DType wanted, int64_t row) { return error_of([&] { type(wanted, {3, row}); }); };
    for (const DType wanted : {DType::Q4_K, DType::Q5_K, DType::Q6_K})
        EXPECT_MENTIONS(refused(wanted, 64),
                        "its rows of 64 numbers are no whole number of blocks of 256; choose one of: f32, f16, bf16, "
                        "q8_0, q5_1, q5_0, q4_1, q4_0");
    for (const DType wanted : {DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1})
        EXPECT_EQ(refused(wanted, 48), strprintf("tensor `x` cannot be %s: its rows of 48 numbers are no whole number of "
                                                 "blocks of 32; choose one of: f32, f16, bf16",
                                                 dtype_info(wanted)->name));
    EXPECT_EQ(find_weight_type("q4_k"), DType::Q4_K);
    for (const char* name : {"q2_k", "i8", "", "Q8_0"}) EXPECT_FALSE(find_weight_type(name)) << name;
}

// Several pieces per thread, a last one that is short, rows longer than a piece.
TEST(Encoder, GivesTheSameBytesForAnyThreads) {
    const auto value = [](int64_t i) { return std::sin(static_cast<float>(i % 9973)); };
    for (const auto& shape : {
             std::vector<int64_t>{1500,    672},
             std::vector<int64_t>{2,       600032},
             std::vector<int64_t>{32}
    }) {
        const int64_t count = shape[0] * (shape.size() > 1 ? shape[1] : 1);
        std::vector<float> values(static_cast<size_t>(count));
        for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = value(i);
        std::vector<std::byte> expected(dtype_bytes(DType::Q8_0, count));
        quant::pack(DType::Q8_0, values.data(), count, expected.data());
        for (const int threads : {1, 3}) {
            double share = 0;
            Encoder encoder(threads, count, [&](double done) { share = done; });
            std::vector<std::byte> bytes;
            encoder.encode(
                "x", DType::Q8_0, shape,
                [&](int64_t first, std::span<float> out) {
                    for (float& v : out) v = value(first++);
                },
                [&](std::span<const std::byte> piece) { bytes.insert(bytes.end(), piece.begin(), piece.end()); });
            EXPECT_TRUE(bytes == expected) << threads << " threads";
            EXPECT_EQ(share, 1.0);
            EXPECT_TRUE(encoder.findings().empty());
        }
    }
}

TEST(Encoder, SaysWhatBecameOfOddNumbers) {
    const auto findings = [](DType type) {
        Encoder encoder(1, 32, [](double) {});
        encoder.encode(
            "x", type, std::vector<int64_t>{1, 32},
            [](int64_t, std::span<float> out) {
                std::fill(out.begin(), out.end(), 1.0f);
                out[3] = std::numeric_limits<float>::quiet_NaN();
            },
            [](std::span<const std::byte>) {});
        return encoder.findings();
    };
    EXPECT_EQ(findings(DType::F32), std::vector<std::string>{"1 weight is NaN or infinite, first in `x`"});
    EXPECT_EQ(findings(DType::Q4_0),
              std::vector<std::string>{"1 weight is NaN or infinite and became 0 or the largest number, first in `x`"});
}

}  // namespace
}  // namespace nib
