// Compiling: the schedule against the dependencies of its nodes, places in the arena against lifetimes.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core/error.h"
#include "core/op_table.h"
#include "cpu/isa.h"
#include "gpt_case.h"
#include "plan_checks.h"
#include "ref/kernels.h"

namespace nib {
namespace {

using namespace test;

TEST(Plan, ScheduleKeepsDependenciesAndArenaKeepsLiveTensorsApart) {
    for (const bool tied : {true, false})
        for (const int threads : {1, 2, 3})
            for (const int64_t B : {1, 2, 8, 16}) {
                CpuBackend backend(ref::table, threads);
                ModelConfig config = tiny_config(tied);
                config.layers = 4;
                const GptCase model(backend, config);
                for (const Mode mode : {Mode::Train, Mode::Infer}) {
                    const LossGraph graph(model, mode, B, 13, 0.1f);
                    const Plan plan = compile(graph.graph, backend);
                    EXPECT_EQ(plan.arena_bytes, arena_bytes(graph.graph, backend));
                    check_schedule(plan);
                    check_arena(plan);
                    if (HasFatalFailure()) FAIL() << "threads " << threads << " B " << B << "\n" << plan.text();
                }
            }
}

TEST(Plan, TextHasALineForEachNode) {
    CpuBackend backend(ref::table, 2);
    const GptCase model(backend, tiny_config());
    for (const int64_t B : {2, 8}) {
        const Plan plan = compile(LossGraph(model, Mode::Train, B, 16).graph, backend);
        const std::string text = plan.text();
        EXPECT_EQ(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')), plan.nodes.size() + 1);
        const auto has = [&](const std::string& part) { return text.find(part) != std::string::npos; };
        EXPECT_TRUE(has(strprintf("# %zu nodes in %zu stages", plan.nodes.size(), plan.stages.size()))) << text;
        EXPECT_TRUE(has(strprintf(" <- ids i32(%d,16)@", static_cast<int>(B)))) << text;  // an input
        EXPECT_TRUE(has(", blk.1.ffn_up.weight f32(48,12), ")) << text;
        EXPECT_TRUE(has(" +=d token_embd.weight f32(17,12), d position_embd.weight")) << text;  // the second term
        EXPECT_EQ(has("0s embed  "), B == 8) << text;                                           // by sequence
    }
}

TEST(Plan, LogitsOfAllRowsNeverExistAtOnce) {
    for (const int64_t B : {40, 4}) {  // chunks of some sequences; parts of a sequence
        CpuBackend backend(ref::table, 2);
        ModelConfig config = tiny_config();
        config.vocab = 300000;
        config.context = 600;
        const GptCase model(backend, config);
        const LossGraph graph(model, Mode::Train, B, B == 40 ? 13 : 600);
        const Plan plan = compile(graph.graph, backend);
        check_schedule(plan);
        check_arena(plan);
        EXPECT_LT(plan.arena_bytes, static_cast<size_t>(graph.B * graph.T) * 300000 * 4 / 3);
    }
}

TEST(Plan, RejectsAnOpThatTheBackendLacksBeforeAnyStep) {
    for (const Op missing : {Op::Attention, Op::NormBackward, Op::CrossEntropy}) {
        KernelTable table = ref::table;
        table.run[static_cast<size_t>(missing)] = nullptr;
        CpuBackend backend(table, 1);
        const GptCase model(backend, tiny_config());
        const LossGraph graph(model, Mode::Train, 2, 4);
        try {
            compile(graph.graph, backend);
            ADD_FAILURE() << "compiled without " << op_name(missing);
        } catch (const Error& error) {
            EXPECT_PRED_FORMAT2(testing::IsSubstring, "`" + std::string(op_name(missing)) + "`", error.what());
        }
    }
}

}  // namespace
}  // namespace nib
