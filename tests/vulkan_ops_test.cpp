// The shaders against the scalar reference.
#include <algorithm>
#include <initializer_list>
#include <memory>
#include <optional>
#include <vector>

#include "op_cases.h"
#include "ref/node_check.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

struct VulkanOps : Vulkan, testing::WithParamInterface<Op> {
    void check(const OpCase& c) { check(c, backend()); }
    void check(const OpCase& c, Backend& backend) {
        if (HasFatalFailure()) return;
        const std::optional<ref::Comparison> result = ref::check_op(c, backend);
        ASSERT_TRUE(result) << "not supported: " << c.text();
        ++cases_;
        ASSERT_EQ(result->mismatch, "");
    }
    int cases_ = 0;
};

// Attention's shaders take long to compile on a CPU, and there is one for each head size.
bool has_head_size(const OpCase& c, std::initializer_list<int64_t> sizes) {
    const bool attention = c.op == Op::Attention || c.op == Op::AttentionBackward;
    return !attention || std::find(sizes.begin(), sizes.end(), c.p.C / c.p.H) != sizes.end();
}

TEST_P(VulkanOps, AllTailsAndOptions) {
    for_each_case(GetParam(), {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 192, 768},
                  [&](const OpCase& c) {
                      if (has_head_size(c, {1, 3, 4, 8, 12, 32, 64, 80})) check(c);
                  });
    EXPECT_GT(cases_, 30);
}

TEST_P(VulkanOps, OtherTypes) {
    ref::for_each_typed_case(GetParam(), [&](const OpCase& c) { check(c); });
    const bool typed = GetParam() == Op::Embed || GetParam() == Op::Linear || GetParam() == Op::AttentionCached;
    EXPECT_EQ(cases_ > 0, typed);
}

TEST_P(VulkanOps, LargeShapesAndFewerRows) {
    ref::for_each_large_case(GetParam(), [&](const OpCase& c) { check(c); });
    ref::for_each_case_of_fewer_rows(GetParam(), [&](const OpCase& c) { check(c); });
    EXPECT_EQ(cases_ > 0, GetParam() != Op::Attention && GetParam() != Op::AttentionBackward);
}

// A software device that is taken for a GPU.
TEST_P(VulkanOps, ShadersForGpus) {
    vulkan::Overrides overrides;
    overrides.software = false;
    const std::unique_ptr<Backend> gpu = open(overrides);
    for_each_case(GetParam(), {1, 3, 8, 31, 33, 65, 129}, [&](const OpCase& c) {
        if (has_head_size(c, {3, 4, 32, 64})) check(c, *gpu);
    });
    ref::for_each_large_case(GetParam(), [&](const OpCase& c) { check(c, *gpu); });
    EXPECT_GT(cases_, 15);
}

std::vector<Op> all_ops() {
    std::vector<Op> ops(kOpCount);
    for (int i = 0; i < kOpCount; ++i) ops[static_cast<size_t>(i)] = static_cast<Op>(i);
    return ops;
}

INSTANTIATE_TEST_SUITE_P(Shaders, VulkanOps, testing::ValuesIn(all_ops()),
                         [](const auto& info) { return op_name(info.param); });

// On a device whose shaders reach little of a matrix.
TEST_F(Vulkan, MatricesInPieces) {
    for (const bool software : {true, false}) {
        vulkan::Overrides small;
        small.max_buffer_range = 300'000;
        small.software = software;
        const std::unique_ptr<Backend> device = open(small);
        Random random(3);
        const auto check = [&](const OpCase& c) {
            const std::optional<ref::Comparison> result = ref::check_op(c, *device);
            ASSERT_TRUE(result);
            ASSERT_EQ(result->mismatch, "");
        };
        for (int i = 0; i < 6; ++i) {
            for (const Op op : {Op::Embed, Op::EmbedBackward, Op::Linear, Op::LinearBackward, Op::LinearBackwardWeight})
                check(make_case(op, 3, 5, 120, i % 2 ? 1100 : 1103, 1, 7, random.bits()));
            for (const Op op : {Op::SumSquares, Op::AdamW, Op::Sgd})
                check(make_case(op, 1, 1, 200'003, 1, 1, 1, random.bits()));
        }
    }
}

}  // namespace
}  // namespace nib
