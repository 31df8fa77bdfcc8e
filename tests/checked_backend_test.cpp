// --check: a checked run is the run itself, finds nothing in it, and finds every kernel that is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/ops.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "infer/session.h"
#include "check/checked_backend.h"
#include "ref/kernels.h"
#include "train/train_step.h"

namespace nib {
namespace {

GptConfig tiny_config() {
    GptConfig c;
    c.layers = 1, c.heads = 2, c.embd = 12, c.context = 20, c.vocab = 17;
    return c;
}

// Two steps of two micro-batches, an evaluation, and some tokens of inference: all bits that come out of it.
std::vector<float> results(Backend& backend, Optimizer optimizer, bool low_memory) {
    TrainShape shape;
    shape.batch = 8, shape.time = 18;
    shape.dropout = 0.1f;
    shape.optimizer = optimizer;
    shape.low_memory = low_memory;
    TrainStep train(backend, tiny_config(), shape);
    train.initialise(1);
    std::vector<int32_t> ids(static_cast<size_t>(train.rows())), targets(ids.size());
    for (size_t i = 0; i < ids.size(); ++i)
        ids[i] = static_cast<int32_t>(i * i % 17), targets[i] = static_cast<int32_t>(i % 5);
    std::vector<float> out;
    const int64_t micro_steps = low_memory ? 1 : 2;
    for (int64_t step = 0; step < 2; ++step) {
        for (int64_t i = 0; i < micro_steps; ++i)
            out.push_back(static_cast<float>(train.micro_step(
                ids, targets, {.seed = 1, .index = static_cast<uint32_t>(i), .of = micro_steps, .first = i == 0})));
        out.push_back(static_cast<float>(train.gradient_norm(0.5)));
        train.update(
            {.step = step, .lr = 0.01, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .momentum = 0.5});
    }
    out.push_back(static_cast<float>(train.evaluate(ids, targets).sum));
    Session session(backend, train.config(), train.weights());
    const std::span<const float> after = session.prefill(std::span(ids).first(7));
    out.insert(out.end(), after.begin(), after.end());
    const std::span<const float> next = session.decode(std::span(ids).first(1));
    out.insert(out.end(), next.begin(), next.end());
    return out;
}

TEST(CheckedBackend, FindsNothingAndChangesNothing) {
    for (const KernelTable* kernels : kernel_tables())
        for (const int threads : {1, 3})
            for (const bool low_memory : {false, true}) {
                const Optimizer optimizer = low_memory ? Optimizer::SgdMomentum : Optimizer::AdamW;
                CpuBackend plain(*kernels, threads), inner(*kernels, threads);
                check::CheckedBackend checked(inner, [&](const std::string& line) { ADD_FAILURE() << line; });
                const std::vector<float> got = results(checked, optimizer, low_memory);
                const std::vector<float> expected = results(plain, optimizer, low_memory);
                ASSERT_EQ(got.size(), expected.size());
                EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0);
                EXPECT_EQ(checked.summary().failures, 0);
                EXPECT_GT(checked.summary().nodes, 100);
            }
}

// A kernel that does its work, but for what `damage` does to it.
Kernel right_kernel = nullptr;

void off_by_little(const Call& call, Range units, void* scratch) {
    right_kernel(call, units, scratch);
    if (call.op == Op::SumSquares)
        *call.output<double>(0) *= 1.01;
    else
        *call.output<float>(0) = *call.output<float>(0) * 1.01f + 0.01f;
}

void leaves_out_the_last_unit(const Call& call, Range units, void* scratch) {
    --units.end;
    if (units.begin < units.end) right_kernel(call, units, scratch);
}

TEST(CheckedBackend, FindsAWrongKernel) {
    for (const Kernel damaged : {off_by_little, leaves_out_the_last_unit})
        for (int op = 0; op < kOpCount; ++op) {
            const bool sgd = static_cast<Op>(op) == Op::Sgd;
            KernelTable kernels = kernel_table("auto");
            right_kernel = kernels.run[op];
            kernels.run[op] = damaged;
            CpuBackend inner(kernels, 1);
            std::vector<std::string> reports;
            check::CheckedBackend checked(inner, [&](const std::string& line) { reports.push_back(line); });
            results(checked, sgd ? Optimizer::Sgd : Optimizer::AdamW, false);
            const std::string name = std::string(": ") + op_name(static_cast<Op>(op)) + " ";
            ASSERT_FALSE(reports.empty()) << name;
            EXPECT_EQ(checked.summary().op, static_cast<Op>(op));
            // The first report is of the kernel itself; what follows it may choke on NaN, but not on a wrong number.
            for (const std::string& line : damaged == off_by_little ? reports : std::vector{reports[0]})
                EXPECT_NE(line.find(name), std::string::npos) << line;
        }
}

TEST(OpCheck, FindsAWrongKernel) {
    constexpr int kCases = 50;  // of each op
    for (const Kernel damaged : {off_by_little, leaves_out_the_last_unit})
        for (int op = 0; op < kOpCount; ++op) {
            KernelTable kernels = ref::table;
            int cases = 0, found = 0;
            right_kernel = kernels.run[op];
            kernels.run[op] = damaged;
            check::for_each_case(static_cast<Op>(op), {}, [&](const check::OpCase& c) {
                // Nothing is to be done for a gradient in place without activation and dropout.
                if (c.in_place && c.op == Op::LinearBackwardEpilogue && c.p.act == Act::None && c.p.dropout == 0) return;
                if (++cases > kCases) return;
                found += !check::check_op(c, kernels).mismatch.empty();
            });
            EXPECT_EQ(found, std::min(cases, kCases)) << op_name(static_cast<Op>(op));
        }
}

}  // namespace
}  // namespace nib
