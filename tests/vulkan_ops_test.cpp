// The shaders against the scalar reference.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <memory>
#include <optional>
#include <vector>

#include "check/node_check.h"
#include "core/plan.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "op_cases.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

struct VulkanOps : Vulkan, testing::WithParamInterface<Op> {
    void check(const OpCase& c) { check(c, backend()); }
    void check(const OpCase& c, Backend& backend) {
        if (cases_++ % every_ != 0 || HasFatalFailure()) return;
        const std::optional<check::Comparison> result = check::check_op(c, backend);
        ASSERT_TRUE(result) << "not supported: " << c.text();
        ASSERT_EQ(result->mismatch, "");
    }
    /// Whether the op has an operand of such types.
    static bool has_operand(std::initializer_list<Types> types) {
        const auto& operands = op_info(GetParam()).operands;
        return std::any_of(operands, operands + kMaxOperands, [&](const Operand& o) {
            return o && std::find(types.begin(), types.end(), o.types) != types.end();
        });
    }
    // What a software driver takes long for: shaders that each combination of options compiles anew.
    static bool compiles_long() {
        const Op op = GetParam();
        return op == Op::Linear || op == Op::Attention || op == Op::AttentionBackward || op == Op::AttentionCached;
    }
    int cases_ = 0;
    const int every_ = sampling() * (compiles_long() ? 5 : 1);  // options and sizes do not repeat with such a period
};

// Attention's shaders take long to compile on a CPU, and there is one for each head size.
bool has_head_size(const OpCase& c, std::initializer_list<int64_t> sizes) {
    const bool attention = c.op == Op::Attention || c.op == Op::AttentionBackward;
    return !attention || std::find(sizes.begin(), sizes.end(), c.p.D) != sizes.end();
}

// The same for Linear: its options make other shaders, but do not change which rows and weights are read.
OpCase without_options(OpCase c) {
    if (c.op != Op::Linear) return c;
    c.p.act = Act::None;
    for (int i = 0; i < kMaxOperands; ++i)
        if (op_info(c.op).operands[i].optional) c.absent[static_cast<size_t>(i)] = true;
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
    check::for_each_typed_case(GetParam(), [&](const OpCase& c) { check(without_options(c)); });
    EXPECT_EQ(cases_ > 0, has_operand({Types::Weight, Types::Cache}));
}

TEST_P(VulkanOps, F16Activations) {
    check::for_each_case_of_f16(GetParam(), [&](const OpCase& c) { check(c); });
    EXPECT_EQ(cases_ > 0, has_operand({Types::Activation}));
}

TEST_P(VulkanOps, LargeShapesAndFewerRows) {
    check::for_each_large_case(GetParam(), [&](const OpCase& c) { check(c); });
    check::for_each_case_of_fewer_rows(GetParam(), [&](const OpCase& c) { check(without_options(c)); });
    EXPECT_GT(cases_, 0);
}

TEST_P(VulkanOps, WithoutSubgroupArithmetic) {
    const auto check_without = [&](const OpCase& c) { check(c, backend(false)); };
    for_each_case(GetParam(), {1, 8, 33, 129}, [&](const OpCase& c) {
        if (has_head_size(c, {4})) check_without(c);
    });
    check::for_each_typed_case(GetParam(), [&](const OpCase& c) { check_without(without_options(c)); });
    EXPECT_GT(cases_, 5);
}

// The largest, the smaller and the exponential of NaN are what a driver wants, so the shaders see to it.
TEST_P(VulkanOps, NotANumberStaysNone) {
    for_each_case(GetParam(), {3, 33}, [&](OpCase c) {
        if (!has_head_size(c, {3, 4, 32, 64})) return;
        c.special = NAN;
        for (c.special_in = 0; c.special_in < kMaxIn; ++c.special_in)
            if (c.has(c.special_in)) check(c);
    });
    EXPECT_GT(cases_, 5);
}

TEST_F(Vulkan, InfiniteLogits) {
    for_each_case(Op::CrossEntropy, {1, 2, 33, 65}, [&](OpCase c) {
        c.special_in = 0;
        for (const float infinity : {INFINITY, -INFINITY}) {
            c.special = infinity;
            ASSERT_EQ(check::check_op(c, backend())->mismatch, "");
        }
    });
}

TEST_F(Vulkan, ActivationsOfExtremesAreThoseOfTheCpu) {
    const std::vector<float> one{1},
        x{-INFINITY, -3e38f, -1e10f, -100, -13.5f, -9.6f, 0, 9.6f, 13.5f, 100, 3e38f, INFINITY};
    const auto R = static_cast<int64_t>(x.size());
    CpuBackend cpu(kernel_table("auto"), 1);
    for (const Act act : {Act::None, Act::GeluTanh, Act::GeluErf, Act::Relu, Act::Silu, Act::Tanh}) {
        const auto run = [&](Backend& backend) {
            const int weights = backend.map_weights(std::as_bytes(std::span(one)));
            Graph g(Mode::Infer);
            const Tensor in = g.input("x", {1, R, 1}, DType::F32);
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
        const Params shape{.B = 1,
                           .T = weight ? 9 : 2050,
                           .C = backward ? 1930
                                : weight ? 1990
                                         : 9,
                           .N = backward ? 9 : 2047};
        const OpCase c = make_case(op, shape, 6);
        ASSERT_EQ(check::check_op(c, backend())->mismatch, "");
    }
}

// On a device whose shaders reach little of a matrix.
TEST_F(Vulkan, MatricesInPieces) {
    const std::unique_ptr<Backend> device = open({.max_buffer_range = 300'000});
    Random random(3);
    const auto check = [&](const OpCase& c) {
        const std::optional<check::Comparison> result = check::check_op(c, *device);
        ASSERT_TRUE(result);
        ASSERT_EQ(result->mismatch, "");
    };
    for (int i = 0; i < 6; ++i) {
        for (const Op op : {Op::Embed, Op::EmbedBackward, Op::Linear, Op::LinearBackward, Op::LinearBackwardWeight})
            check(make_case(
                op, {.B = 3, .T = 5, .C = 120, .N = i % 2 ? 1100 : 1103, .S = op == Op::EmbedBackward ? 700 : 7, .L = 7},
                random.bits()));
        for (const Op op : {Op::SumSquares, Op::AdamW, Op::Sgd, Op::Adagrad})
            check(make_case(op, {.B = 1, .T = 1, .C = 200'003, .N = 1}, random.bits()));
    }
}

}  // namespace
}  // namespace nib
