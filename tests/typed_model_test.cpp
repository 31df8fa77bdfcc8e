// A whole small model with weights of every type, on every kernel table of this machine. How much a type costs a model in
// perplexity is in quantized_quality_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "numbers.h"
#include "ref/kernels.h"
#include "typed_case.h"

namespace nib {
namespace {

using namespace test;

// By how much logits may differ, |a - b| / |b|: `kept` from those of the same weights unpacked to f32, where activations
// are not rounded to 8 bits; `packed` from those of the weights before they were packed. The weights are random, which
// makes a model more sensitive than training does.
struct TypeBound {
    DType type;
    double kept, packed;
};
constexpr TypeBound kBounds[] = {
    {DType::F32,  1e-5, 1e-5},
    {DType::F16,  1e-5, 1e-3},
    {DType::BF16, 1e-5, 0.01},
    {DType::Q8_0, 0.03, 0.03},
    {DType::Q6_K, 0.03, 0.05},
    {DType::Q5_K, 0.03, 0.1 },
    {DType::Q5_1, 0.03, 0.1 },
    {DType::Q5_0, 0.03, 0.12},
    {DType::Q4_K, 0.03, 0.2 },
    {DType::Q4_1, 0.03, 0.2 },
    {DType::Q4_0, 0.03, 0.25},
    {DType::Q3_K, 0.03, 0   }, // nib does not pack these two
    {DType::Q2_K, 0.03, 0   },
};

class TypedModel : public testing::TestWithParam<std::tuple<const KernelTable*, TypeBound>> {
protected:
    const TypeBound& bound() const { return std::get<TypeBound>(GetParam()); }

    CpuBackend backend_{*std::get<0>(GetParam()), 2};
    TypedCase model_{backend_, bound().type};
};

TEST_P(TypedModel, LogitsAreThoseOfTheModelInF32) {
    const std::vector<float> at_once = model_.logits(model_.weights(), true);
    const std::vector<float> by_token = model_.logits(model_.weights(), false);
    const std::vector<float> kept = model_.logits(model_.floats(&TypedCase::Packed::after), true);
    EXPECT_LE(relative_error(at_once, kept), bound().kept);
    EXPECT_LE(relative_error(by_token, kept), bound().kept);
    if (quant::can_pack(bound().type)) {
        const std::vector<float> original = model_.logits(model_.floats(&TypedCase::Packed::before), true);
        EXPECT_LE(relative_error(at_once, original), bound().packed);
        EXPECT_LE(relative_error(by_token, original), bound().packed);
    }
    // A cache of halves changes little. Beside blocks the least change of an activation may round another way.
    for (const auto& [with_floats, prefill] : {std::pair(&at_once, true), std::pair(&by_token, false)}) {
        const double change = relative_error(model_.logits(model_.weights(), prefill, DType::F16), *with_floats);
        EXPECT_GT(change, 0);
        EXPECT_LE(change, std::max(1e-3, bound().kept));
    }
}

// To the bit: otherwise rounding would lead samples astray from what a single one writes.
TEST_P(TypedModel, SequencesSideBySideEqualSingleOnes) {
    constexpr size_t kSequences = 3;
    const std::span<const int32_t> prompt = model_.ids().first(6);
    Engine single(backend_, model_.config(), model_.weights()),
        several(backend_, model_.config(), model_.weights(), {.slots = kSequences});
    several.append(0, prompt);
    for (size_t s = 1; s < kSequences; ++s) several.copy(0, static_cast<int64_t>(s), several.length(0));
    for (size_t step = 0; step < 4; ++step) {
        std::vector<int32_t> next;
        for (size_t s = 0; s < kSequences; ++s) next.push_back(model_.ids()[step * kSequences + s]);
        decode(several, next);
    }
    std::vector<int32_t> last(kSequences, 5);
    const std::span<const float> rows = decode(several, last);
    for (size_t s = 0; s < kSequences; ++s) {
        single.reset();
        single.append(0, prompt);
        for (size_t step = 0; step < 4; ++step) single.append(0, {&model_.ids()[step * kSequences + s], 1});
        const std::span<const float> alone = single.append(0, {&last[s], 1});
        EXPECT_TRUE(std::equal(alone.begin(), alone.end(), rows.begin() + static_cast<std::ptrdiff_t>(s * alone.size())));
    }
}

std::vector<std::tuple<const KernelTable*, TypeBound>> cases() {
    std::vector<std::tuple<const KernelTable*, TypeBound>> all;
    for (const KernelTable* table : kernel_tables())
        for (const TypeBound& bound : kBounds)
            if (table != &ref::table || (bound.type != DType::F16 && bound.type != DType::BF16))  // seconds
                all.emplace_back(table, bound);
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, TypedModel, testing::ValuesIn(cases()), [](const auto& info) {
    return std::string(std::get<0>(info.param)->name) + "_" + dtype_info(std::get<1>(info.param).type)->name;
});

}  // namespace
}  // namespace nib
