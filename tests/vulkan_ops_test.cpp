// The shaders against the scalar reference.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <memory>
#include <optional>
#include <vector>

#include "core/plan.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "op_cases.h"
#include "ref/node_check.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

struct VulkanOps : Vulkan, testing::WithParamInterface<Op> {
    void check(const OpCase& c) { check(c, backend()); }
    void check(const OpCase& c, Backend& backend) {
        if (cases_++ % every_ != 0 || HasFatalFailure()) return;
        const std::optional<ref::Comparison> result = ref::check_op(c, backend);
        ASSERT_TRUE(result) << "not supported: " << c.text();
        ASSERT_EQ(result->mismatch, "");
    }
    int cases_ = 0;
    const int every_ = sampling();
};

// Attention's shaders take long to compile on a CPU, and there is one for each head size.
bool has_head_size(const OpCase& c, std::initializer_list<int64_t> sizes) {
    const bool attention = c.op == Op::Attention || c.op == Op::AttentionBackward;
    return !attention || std::find(sizes.begin(), sizes.end(), c.p.C / c.p.H) != sizes.end();
}

// The same for Linear: its options make other shaders, but do not change which rows and weights are read.
OpCase without_options(OpCase c) {
    if (c.op == Op::Linear) c.p.act = Act::None, c.without_in = 0;
    return c;
}

TEST_P(VulkanOps, AllTailsAndOptions) {
    for_each_case(GetParam(), {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 192, 768},
                  [&](const OpCase& c) {
                      if (has_head_size(c, {1, 3, 4, 8, 12, 32, 64, 80})) check(c);
                  });
    EXPECT_GT(cases_, 30);
}

TEST_P(VulkanOps, OtherTypes) {
    ref::for_each_typed_case(GetParam(), [&](const OpCase& c) { check(without_options(c)); });
    const bool typed = GetParam() == Op::Embed || GetParam() == Op::Linear || GetParam() == Op::AttentionCached;
    EXPECT_EQ(cases_ > 0, typed);
}

TEST_P(VulkanOps, ActivationsOfHalfFloats) {
    ref::for_each_case_of_halves(GetParam(), [&](const OpCase& c) { check(c); });
    const auto ops = {Op::Norm,      Op::Linear,           Op::LinearBackwardEpilogue, Op::LinearBackwardWeight,
                      Op::Attention, Op::AttentionBackward};
    EXPECT_EQ(cases_ > 0, std::find(ops.begin(), ops.end(), GetParam()) != ops.end());
}

TEST_P(VulkanOps, LargeShapesAndFewerRows) {
    ref::for_each_large_case(GetParam(), [&](const OpCase& c) { check(c); });
    ref::for_each_case_of_fewer_rows(GetParam(), [&](const OpCase& c) { check(without_options(c)); });
    EXPECT_EQ(cases_ > 0, GetParam() != Op::Attention && GetParam() != Op::AttentionBackward);
}

TEST_P(VulkanOps, WithoutSubgroupArithmetic) {
    const auto check_without = [&](const OpCase& c) { check(c, backend(false)); };
    for_each_case(GetParam(), {1, 8, 33, 129}, [&](const OpCase& c) {
        if (has_head_size(c, {4})) check_without(c);
    });
    ref::for_each_typed_case(GetParam(), [&](const OpCase& c) { check_without(without_options(c)); });
    EXPECT_GT(cases_, 5);
}

// The largest, the smaller and the exponential of NaN are what a driver wants, so the shaders see to it.
TEST_P(VulkanOps, NotANumberStaysNone) {
    for_each_case(GetParam(), {3, 33}, [&](OpCase c) {
        if (!has_head_size(c, {3, 4, 32, 64})) return;
        c.special = NAN;
        for (c.special_in = 0; c.special_in < kMaxIn; ++c.special_in)
            if (Operands<float>(c).in[c.special_in].present()) check(c);
    });
    EXPECT_GT(cases_, 15);
}

TEST_F(Vulkan, InfiniteLogits) {
    for_each_case(Op::CrossEntropy, {1, 2, 33, 65}, [&](OpCase c) {
        c.special_in = 0;
        for (const float infinity : {INFINITY, -INFINITY}) {
            c.special = infinity;
            ASSERT_EQ(ref::check_op(c, backend())->mismatch, "");
        }
    });
}

TEST_F(Vulkan, ActivationsOfExtremesAreThoseOfTheCpu) {
    const std::vector<float> one{1},
        x{-INFINITY, -3e38f, -1e10f, -100, -13.5f, -9.6f, 0, 9.6f, 13.5f, 100, 3e38f, INFINITY};
    const auto R = static_cast<int64_t>(x.size());
    CpuBackend cpu(kernel_table("auto"), 1);
    for (const Act act : {Act::None, Act::GeluTanh, Act::GeluErf, Act::Relu}) {
        const auto run = [&](Backend& backend) {
            const int weights = backend.map_weights(std::as_bytes(std::span(one)));
            Graph g(Mode::Infer, 1, R);
            const Tensor in = g.input("x", {R, 1}, DType::F32);
            const Weight w{
                "w", {1,  1},
                 DType::F32, {weights,  0},
                 {  }
            };
            const Tensor y = g.output(g.linear(in, {w, {}}, {.act = act}));
            std::vector<float> result(x.size());
            {
                const Plan plan = compile(std::move(g), backend);
                plan.set<float>(in, x);
                plan.run({});
                plan.get(y, std::span(result));
            }
            backend.release(weights);
            return result;
        };
        const std::vector<float> expected = run(cpu);
        const std::vector<float> got = run(backend());
        for (size_t i = 0; i < x.size(); ++i)
            EXPECT_TRUE(got[i] == expected[i] || std::abs(got[i] - expected[i]) <= 1e-6f * std::abs(expected[i]) + 1e-7f)
                << static_cast<int>(act) << " of " << x[i] << ": " << got[i] << ", not " << expected[i];
    }
}

std::vector<Op> all_ops() {
    std::vector<Op> ops(kOpCount);
    for (int i = 0; i < kOpCount; ++i) ops[static_cast<size_t>(i)] = static_cast<Op>(i);
    return ops;
}

INSTANTIATE_TEST_SUITE_P(Shaders, VulkanOps, testing::ValuesIn(all_ops()),
                         [](const auto& info) { return op_name(info.param); });

// Products that are large enough for the largest workgroups.
TEST_F(Vulkan, LargeTiles) {
    for (const Op op : {Op::Linear, Op::LinearBackward, Op::LinearBackwardWeight}) {
        const bool weight = op == Op::LinearBackwardWeight, backward = op == Op::LinearBackward;
        const OpCase c = make_case(op, 1, weight ? 9 : 2050,
                                   backward ? 1930
                                   : weight ? 1990
                                            : 9,
                                   backward ? 9 : 2047, 1, 1, 6);
        ASSERT_EQ(ref::check_op(c, backend())->mismatch, "");
    }
}

// On a device whose shaders reach little of a matrix.
TEST_F(Vulkan, MatricesInPieces) {
    const std::unique_ptr<Backend> device = open({.max_buffer_range = 300'000});
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

}  // namespace
}  // namespace nib
