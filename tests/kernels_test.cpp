// Every kernel of every instruction set that this machine has, against the scalar reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "cpu/isa.h"
#include "op_cases.h"

namespace nib {
namespace {

using namespace test;

// Whole, in ranges, and a part alone: the whole is near the reference, the ranges give the same bits, and a part leaves the
// rest alone.
void check_case(const KernelTable& table, const OpCase& c) {
    Operands<float> expected(c), whole(c), cut(c), part(c), part_expected(c);
    Random random(c.seed);
    expected.run(ref::table);
    whole.run(table);
    ASSERT_TRUE(near_to(whole, expected, op_tolerance(c)));
    const std::vector<Range> ranges = cut.cut(table, random);
    cut.run(table, ranges);
    ASSERT_TRUE(same(cut, whole, strprintf("in %zu ranges", ranges.size()).c_str()));
    if (ranges.size() < 2) return;
    const std::vector<Range> one = {ranges[0]};
    part.run(table, one);
    part_expected.run(ref::table, one);
    ASSERT_TRUE(near_to(part, part_expected, op_tolerance(c)))
        << "range " << one[0].begin << " to " << one[0].end << " of " << op_units(part.call());
}

// compile() chooses by rows or by columns from the number of threads: the bits must not differ.
void check_layouts(const KernelTable& table, OpCase c) {
    c.p.by_columns = false;
    Operands<float> rows(c);
    c.p.by_columns = true;
    Operands<float> columns(c);
    rows.run(table);
    columns.run(table);
    ASSERT_TRUE(same(columns, rows, "by columns, not by rows"));
}

struct Kernels : testing::TestWithParam<std::tuple<const KernelTable*, Op>> {
    const KernelTable& table() const { return *std::get<0>(GetParam()); }
    Op op() const { return std::get<1>(GetParam()); }
    void SetUp() override {
        ASSERT_NE(table().run[static_cast<size_t>(op())], nullptr) << table().name << " lacks " << op_name(op());
    }
};

TEST_P(Kernels, AllTailsAndOptions) {
    for_each_case(op(), tail_sizes(), sampled([&](const OpCase& c) { check_case(table(), c); }));
}

TEST_P(Kernels, AllTypes) {
    check::for_each_typed_case(op(), sampled([&](const OpCase& c) { check_case(table(), c); }));
}

TEST_P(Kernels, LargeShapes) {
    check::for_each_large_case(op(), sampled([&](const OpCase& c) { check_case(table(), c); }));
}

std::vector<const KernelTable*> simd_tables() {
    std::vector<const KernelTable*> tables = kernel_tables();
    std::erase(tables, &ref::table);
    return tables;
}

std::vector<Op> all_ops() {
    std::vector<Op> ops(kOpCount);
    for (int i = 0; i < kOpCount; ++i) ops[static_cast<size_t>(i)] = static_cast<Op>(i);
    return ops;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Kernels);
INSTANTIATE_TEST_SUITE_P(Cpu, Kernels, testing::Combine(testing::ValuesIn(simd_tables()), testing::ValuesIn(all_ops())),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param)->name) + "_" + op_name(std::get<1>(info.param));
                         });

// What concerns some ops only, and extremes that random numbers do not reach.
struct Table : testing::TestWithParam<const KernelTable*> {
    const KernelTable& table() const { return *GetParam(); }
    void run(Operands<float>& operands) const { operands.run(table()); }
};

// Inference with fewer rows than the plan was made for.
TEST_P(Table, FewerRows) {
    for (const Op op : all_ops())
        check::for_each_case_of_fewer_rows(op, sampled([&](const OpCase& c) { check_case(table(), c); }));
}

TEST_P(Table, LayoutsGiveTheSameBits) {
    for (const Op op : {Op::Linear, Op::LinearBackward}) {
        Random random(8);
        auto sample = sampled([&](const OpCase& c) { check_layouts(table(), c); });
        const auto check = [&](int64_t B, int64_t T, int64_t C, int64_t N) {
            sample(make_case(op, {.B = B, .T = T, .C = C, .N = N}, random.bits()));
        };
        for (const int64_t R : {49, 60, 65, 130})  // fewer are always by columns
            for (const int64_t C : {1, 16, 37, 300})
                for (const int64_t N : {1, 15, 32, 77, 300}) check(1, R, C, N);
        check(4, 50, 600, 200);
        check(4, 50, 1600, 600);
    }
}

// A case with no optional operand and all options off.
OpCase plain_case(Op op, const Params& p) {
    OpCase c;
    c.op = op;
    c.p = p;
    c.step.loss_scale = 1;
    for (int i = 0; i < kMaxOperands; ++i) c.absent[static_cast<size_t>(i)] = op_info(op).operands[i].optional;
    return c;
}

// Numbers over the whole range of activations, and far beyond.
constexpr int64_t kCurve = 4001;
void fill_curve(check::GuardedTensor& x) {
    for (int64_t i = 0; i < kCurve; ++i) x.as<float>()[i] = static_cast<float>(i - kCurve / 2) * 0.01f;
    x.as<float>()[0] = -1e30f, x.as<float>()[kCurve - 1] = 1e30f;
}

TEST_P(Table, ActivationsOverTheirWholeRange) {
    using L = operand::Linear;
    using E = operand::LinearBackwardEpilogue;
    // Through a linear layer of one column: y = act(x).
    for (const Act act : {Act::GeluTanh, Act::GeluErf, Act::Relu, Act::Silu, Act::Tanh}) {
        OpCase c = plain_case(Op::Linear, {.B = 1, .T = kCurve, .C = 1, .N = 1, .act = act});
        OpCase back = plain_case(Op::LinearBackwardEpilogue, c.p);
        back.absent = {};
        Operands<float> got(c), expected(c), got_back(back), expected_back(back);
        for (Operands<float>* o : {&got, &expected}) fill_curve((*o)[L::x]), (*o)[L::w].as<float>()[0] = 1;
        for (Operands<float>* o : {&got_back, &expected_back}) {
            fill_curve((*o)[E::pre]);
            std::fill_n((*o)[E::dy].as<float>(), kCurve, 1.0f);
        }
        run(got), run(got_back);
        expected.run(ref::table), expected_back.run(ref::table);
        for (int64_t i = 0; i < kCurve; ++i) {
            const float x = got[L::x].as<float>()[i], y = expected[L::y].as<float>()[i];
            ASSERT_NEAR(got[L::y].as<float>()[i], y, 1e-6 * std::max(1.0f, std::abs(y))) << "x = " << x;
            ASSERT_NEAR(got_back[E::dpre].as<float>()[i], expected_back[E::dpre].as<float>()[i], 2e-6) << "x = " << x;
        }
    }
}

TEST_P(Table, GatesOverTheirWholeRange) {
    using G = operand::Glu;
    using B = operand::GluBackward;
    for (const Act act : {Act::GeluTanh, Act::GeluErf, Act::Relu, Act::Silu, Act::Tanh}) {
        const OpCase c = plain_case(Op::Glu, {.B = 1, .T = 1, .C = kCurve, .act = act});
        const OpCase back = plain_case(Op::GluBackward, c.p);
        Operands<float> got(c), expected(c), got_back(back), expected_back(back);
        for (Operands<float>* o : {&got, &expected}) fill_curve((*o)[G::gate]);
        for (Operands<float>* o : {&got_back, &expected_back}) fill_curve((*o)[B::gate]);
        run(got), run(got_back);
        expected.run(ref::table), expected_back.run(ref::table);
        const auto near = [](float a, float b) { return std::abs(a - b) <= 2e-6f * std::max(1.0f, std::abs(b)); };
        for (int64_t i = 0; i < kCurve; ++i) {
            const float x = got[G::gate].as<float>()[i];
            ASSERT_PRED2(near, got[G::y].as<float>()[i], expected[G::y].as<float>()[i]) << "x = " << x;
            ASSERT_PRED2(near, got_back[B::dgate].as<float>()[i], expected_back[B::dgate].as<float>()[i]) << "x = " << x;
            ASSERT_PRED2(near, got_back[B::dup].as<float>()[i], expected_back[B::dup].as<float>()[i]) << "x = " << x;
        }
    }
}

TEST_P(Table, LossOfFarLogits) {
    using O = operand::CrossEntropy;
    for (const float far : {0.0f, 50.0f, 200.0f, 1e4f}) {
        OpCase c = plain_case(Op::CrossEntropy, {.B = 1, .T = 4, .N = 37});
        c.absent = {};
        Operands<float> got(c), expected(c);
        for (Operands<float>* o : {&got, &expected})
            for (int r = 0; r < 4; ++r) {
                (*o)[O::logits].as<float>()[r * 37 + 3 * r] = far;
                (*o)[O::logits].as<float>()[r * 37 + 36] = -far;
                (*o)[O::targets].as<int32_t>()[r] = r == 0 ? 0 : 36;
            }
        run(got);
        expected.run(ref::table);
        ASSERT_TRUE(near_to(got, expected, {2e-6, 4e-6, 0.1})) << "logits of " << far;
    }
}

TEST_P(Table, AttentionToOneFarKey) {
    for (const float far : {20.0f, 1000.0f}) {
        OpCase c = plain_case(Op::Attention, {.B = 1, .T = 70, .C = 16, .H = 1, .G = 1, .S = 70, .K = 16, .D = 16});
        c.p.scale = 0.25f;
        c.p.causal = true;
        c.absent[operand::Attention::lse] = false;
        Operands<float> got(c), expected(c);
        for (Operands<float>* o : {&got, &expected})
            for (int i = 0; i < 16; ++i) (*o)[operand::Attention::k].as<float>()[40 * 16 + i] *= far;
        run(got);
        expected.run(ref::table);
        ASSERT_TRUE(near_to(got, expected, {1e-5, 4e-5, 0.1})) << "key of " << far;
    }
}

TEST_P(Table, NormOfNearlyEqualChannels) {
    // The variance is a small difference: mean first, squares after.
    OpCase c = plain_case(Op::Norm, {.B = 1, .T = 3, .C = 100, .eps = 1e-5f});
    c.absent = {};
    Operands<float> got(c), expected(c);
    for (Operands<float>* o : {&got, &expected})
        for (int i = 0; i < 300; ++i)
            (*o)[operand::Norm::x].as<float>()[i] = (i < 100   ? 1000.0f
                                                     : i < 200 ? 0.0f
                                                               : 7.0f) +
                                                    0.25f * static_cast<float>(i % 7);
    run(got);
    expected.run(ref::table);
    ASSERT_TRUE(near_to(got, expected, {2e-4, 4e-4}));  // mean 1000 has an error of 6e-5 in float
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Table);
INSTANTIATE_TEST_SUITE_P(Cpu, Table, testing::ValuesIn(simd_tables()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace nib
