// Tiny models against PyTorch: tests/goldens/make_goldens.py says what the files hold.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include "core/op_table.h"
#include "cpu/isa.h"
#include "gpt_case.h"
#include "io/gguf.h"
#include "numbers.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;

struct Golden : testing::TestWithParam<std::tuple<const KernelTable*, const char*>> {
    GgufFile file = GgufFile::open(golden(std::get<1>(GetParam()) + std::string(".gguf")));
    CpuBackend backend{*std::get<0>(GetParam()), 2};
    GptCase model{backend, read_config(file)};
    const std::span<const int32_t> ids = numbers<int32_t>(file, "ids"), targets = numbers<int32_t>(file, "targets");
    const int64_t B = file.tensor("ids").shape[0], T = file.tensor("ids").shape[1];
    // Of models with an encoder.
    const int64_t S = model.config.has_encoder() ? file.tensor("source_ids").shape[1] : 0;
    const SourceBatch source =
        S > 0 ? SourceBatch{numbers<int32_t>(file, "source_ids"), numbers<int32_t>(file, "source_lengths")} : SourceBatch{};

    void SetUp() override {
        for (size_t i = 0; i < model.specs.size(); ++i) {
            ASSERT_EQ(file.tensor(model.specs[i].name).shape.size(), static_cast<size_t>(model.specs[i].shape.rank));
            model.set_value(i, numbers<float>(file, model.specs[i].name));
        }
    }
    double counted() const {
        return static_cast<double>(std::count_if(targets.begin(), targets.end(), [](int32_t t) { return t != kIgnore; }));
    }
    double mean_loss(const LossGraph& graph, const Plan& plan) const {
        const std::vector<float> losses = graph.losses(plan);
        return std::accumulate(losses.begin(), losses.end(), 0.0) / counted();
    }
    Step step() const {
        Step s;
        s.loss_scale = static_cast<float>(1 / counted());
        return s;
    }
};

TEST_P(Golden, Logits) {
    const std::vector<float> got = LogitsGraph(backend, model.config, model.weights, B, T, S).run(ids, source);
    EXPECT_LE(relative_error(got, numbers<float>(file, "logits")), 1e-5);
}

TEST_P(Golden, LossAndGradients) {
    const LossGraph graph(model, Mode::Train, B, T, 0, false, S);
    const Plan plan = compile(graph.graph, backend);
    const Step whole_step = graph.set(plan, ids, targets, source, step());
    plan.run(whole_step);
    EXPECT_NEAR(mean_loss(graph, plan), numbers<float>(file, "loss")[0], 1e-5);
    for (size_t i = 0; i < model.specs.size(); ++i)
        EXPECT_LE(gradient_error(model.gradient(i), numbers<float>(file, "grad." + model.specs[i].name)), 1e-5)
            << model.specs[i].name;

    // The same in two micro-batches: the second adds to the first.
    const std::vector<float> whole = model.all_gradients();
    Step half = whole_step;
    half.loss_scale /= 2;
    plan.run(half);
    half.accumulate = 1;
    plan.run(half);
    EXPECT_LE(relative_error(model.all_gradients(), whole), 1e-6);
}

TEST_P(Golden, TenStepsOfAdamW) {
    const LossGraph graph(model, Mode::Train, B, T, 0, false, S);
    const Plan plan = compile(graph.graph, backend);
    Step s = graph.set(plan, ids, targets, source, step());

    // Norm of all gradients, then one update per parameter.
    Graph updates(Mode::Infer);
    const auto n = static_cast<int64_t>(model.total), blocks = (n + kSumBlock - 1) / kSumBlock;
    const Tensor partial = updates.make({blocks}, DType::F64), stats = updates.make({2});
    updates.add(Op::SumSquares, {}, {updates.fixed("all gradients", {n}, DType::F32, {model.gradients, 0})}, {partial});
    updates.add(Op::ClipFactor, {}, {partial}, {stats});
    const int moments = backend.allocate(model.total * 8);
    for (size_t i = 0; i < model.specs.size(); ++i) {
        Params p;
        p.C = model.specs[i].shape.elements();
        p.decay = model.specs[i].decay;
        const auto at = [&](const char* name, int buffer, size_t first) {
            return updates.fixed(name, {p.C}, DType::F32, {buffer, (first + model.offsets[i]) * 4});
        };
        // The first gradient begins where "all gradients" does, in another shape: a view keeps the two apart.
        const Tensor g = updates.view(updates.fixed("all gradients", {n}, DType::F32, {model.gradients, 0}), {p.C},
                                      model.offsets[i] * 4);
        updates.add(Op::AdamW, p, {g, stats},
                    {at("w", model.values, 0), at("m", moments, 0), at("v", moments, model.total)});
    }
    const Plan update = compile(updates, backend);

    const std::span<const float> expected = numbers<float>(file, "losses");
    s.lr = 1e-2f, s.beta1 = 0.9f, s.beta2 = 0.95f, s.eps = 1e-8f, s.weight_decay = 0.1f, s.clip = 1;
    for (size_t t = 0; t < expected.size(); ++t) {
        plan.run(s);
        EXPECT_NEAR(mean_loss(graph, plan), expected[t], 1e-5) << "after " << t << " steps";
        s.correction1 = static_cast<float>(1 - std::pow(0.9, t + 1));
        s.correction2 = static_cast<float>(1 - std::pow(0.95, t + 1));
        update.run(s);
    }
    backend.release(moments);
}

INSTANTIATE_TEST_SUITE_P(
    PyTorch, Golden,
    testing::Combine(testing::ValuesIn(kernel_tables()),
                     testing::Values("gpt_tied", "gpt_untied", "gpt_scaled", "gpt1", "gpt1_untied", "gpt3", "gptneo",
                                     "llama_tied", "llama_untied", "qwen2_tied", "bert_tied", "bert_untied", "transformer",
                                     "transformer_pre_norm")),
    [](const auto& info) { return std::string(std::get<0>(info.param)->name) + "_" + std::get<1>(info.param); });

}  // namespace
}  // namespace nib
