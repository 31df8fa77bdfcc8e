// Weights of classes.
#include "task/class_weights.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test_errors.h"

namespace nib {
namespace {

using namespace test;

const std::vector<std::string> kLabels = {"a", "b=c", "d"};
const std::vector<int64_t> kCounts = {1, 3, 4};

std::vector<float> parsed(const std::string& text) { return parse_class_weights(text, kLabels, kCounts); }

TEST(ClassWeights, AreNamedOrBalanced) {
    EXPECT_EQ(parsed(""), (std::vector<float>{1, 1, 1}));
    EXPECT_EQ(parsed("b=c=2.5"), (std::vector<float>{1, 2.5f, 1}));
    EXPECT_EQ(parsed("a=2,d=0.5"), (std::vector<float>{2, 1, 0.5f}));
    // sklearn.utils.class_weight.compute_class_weight("balanced", ...)
    EXPECT_EQ(parsed("balanced"), (std::vector<float>{8 / 3.0f, 8 / 9.0f, 8 / 12.0f}));
    EXPECT_EQ(parse_class_weights("balanced", kLabels, std::vector<int64_t>{0, 2, 4})[0], 1);
}

TEST(ClassWeights, RefusesOthers) {
    const auto error = [](const char* text) { return error_of([&] { parsed(text); }); };
    EXPECT_MENTIONS(error("balance"), "is `balance`; it must be balanced");
    EXPECT_MENTIONS(error("e=1"), "names `e`; the labels are a, b=c, d");
    for (const char* text : {"a=", "a=0", "a=-1", "a=nan", "a=inf", "a=1x", "a=1e9", "a=1,,d=2"})
        EXPECT_NE(error(text), "") << text;
}

}  // namespace
}  // namespace nib
