// A whole small model with weights of every type, on Vulkan against the CPU.
#include <iterator>
#include <string>
#include <vector>

#include "check/checked_backend.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "numbers.h"
#include "typed_case.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

// By how much logits may differ, |a - b| / |b|. Floats only add up in another order: 7e-7 was seen. Beside blocks,
// activations are rounded to 8 bits: what differs in the last bit may round the other way, by 1/127 of the largest of its
// run, and all that follows moves. 2.3e-3 was seen; 1.3e-3 between the CPU's own instruction sets.
double bound(DType type) { return dtype_info(type)->block_size > 1 ? 0.01 : 1e-5; }

struct VulkanTypedModel : Vulkan, testing::WithParamInterface<DType> {};

TEST_P(VulkanTypedModel, LogitsAreThoseOfTheCpu) {
    const DType type = GetParam();
    CpuBackend cpu(kernel_table("auto"), 2);
    TypedCase expected(cpu, type), got(backend(), type);
    for (const bool at_once : {true, false}) {
        const double error =
            relative_error(got.logits(got.weights(), at_once), expected.logits(expected.weights(), at_once));
        EXPECT_LE(error, bound(type)) << (at_once ? "at once" : "by token");
    }
}

// On the same inputs nothing rounds the other way, beside blocks neither.
TEST_P(VulkanTypedModel, EachNodeIsThatOfTheReference) {
    const DType type = GetParam();
    check::CheckedBackend checked(backend(), [](const std::string& line) { ADD_FAILURE() << line; });
    TypedCase model(checked, type);
    for (const bool at_once : {true, false}) model.logits(model.weights(), at_once);
    EXPECT_LE(checked.summary().error, 1e-5);
    EXPECT_GT(checked.summary().nodes, 100);
}

std::vector<DType> types() {
    std::vector<DType> all(std::begin(kPlain), std::end(kPlain));
    all.insert(all.end(), std::begin(kQuantized), std::end(kQuantized));
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, VulkanTypedModel, testing::ValuesIn(types()),
                         [](const auto& info) { return dtype_info(info.param)->name; });

}  // namespace
}  // namespace nib
