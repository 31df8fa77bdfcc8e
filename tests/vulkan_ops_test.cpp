// The shaders against the scalar reference.
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

TEST_P(VulkanOps, AllTailsAndOptions) {
    for_each_case(GetParam(), {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 192, 768},
                  [&](const OpCase& c) { check(c); });
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

// Where a software device is taken for a GPU.
TEST_P(VulkanOps, WithTheShadersForGpus) {
    vulkan::Overrides overrides;
    overrides.software = false;
    const auto gpu = vulkan::open_backend(device_, note, overrides);
    for_each_case(GetParam(), {1, 3, 8, 31, 33, 65, 129}, [&](const OpCase& c) { check(c, *gpu); });
    ref::for_each_large_case(GetParam(), [&](const OpCase& c) { check(c, *gpu); });
    EXPECT_GT(cases_, 20);
}

std::vector<Op> all_ops() {
    std::vector<Op> ops(kOpCount);
    for (int i = 0; i < kOpCount; ++i) ops[static_cast<size_t>(i)] = static_cast<Op>(i);
    return ops;
}

INSTANTIATE_TEST_SUITE_P(Shaders, VulkanOps, testing::ValuesIn(all_ops()),
                         [](const auto& info) { return op_name(info.param); });

}  // namespace
}  // namespace nib
