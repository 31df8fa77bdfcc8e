// What a forward pass shows of its inside.
#include "model/trace.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "cpu/isa.h"
#include "gpt_case.h"
#include "numbers.h"
#include "test_errors.h"

namespace nib {
namespace {

using namespace test;

TEST(Trace, ShowsLayersAndAttentionOfEachFamily) {
    CpuBackend backend(kernel_table("auto"), 2);
    for (const ModelConfig& config : {test::tiny_config(), tiny_llama()}) {
        SCOPED_TRACE(config.arch);
        constexpr int64_t B = 2, T = 7;
        const GptCase model(backend, config);
        randomize(model, 3);
        const auto family = make_model(config);
        Graph g(Mode::Infer);
        TokenInputs tokens(g, config, B, T);
        Trace trace({"embd", "blk.0", "blk.1", "blk.1.attn", "blk.2"});
        ModelInputs inputs = tokens.inputs(model.weights);
        inputs.trace = &trace;
        const Tensor logits = g.output(family->logits(g, model.weights, family->head("lm"), family->hidden(g, inputs)));
        const Plan plan = compile(std::move(g), backend);
        const std::vector<int32_t> ids = random_tokens(B * T, config.vocab, 5);
        std::vector<int32_t> positions;
        for (int64_t r = 0; r < B * T; ++r) positions.push_back(static_cast<int32_t>(r % T));
        tokens.set(plan, ids, positions);
        plan.run({});
        const auto values = [&](Tensor t) {
            std::vector<float> v(plan.tensors[static_cast<size_t>(t.id)].bytes() / 4);
            plan.get(t, std::span(v));
            return v;
        };
        EXPECT_EQ(values(logits), LogitsGraph(backend, config, model.weights, B, T).run(ids));

        // Rows of weights are distributions over what a token sees.
        const std::vector<float> weights = values(trace["blk.1.attn"]);
        ASSERT_EQ(weights.size(), static_cast<size_t>(B * config.heads * T * T));
        for (size_t row = 0; row < weights.size() / T; ++row) {
            double sum = 0;
            for (size_t s = 0; s < T; ++s) {
                sum += static_cast<double>(weights[row * T + s]);
                if (s > row % T) {
                    EXPECT_EQ(weights[row * T + s], 0.0f);
                }
            }
            EXPECT_NEAR(sum, 1, 1e-5);
        }

        // The last block's output is what the last norm and the head make logits of; the embedding is the first's input.
        const auto then = [&](Tensor hidden) {
            Graph rest(Mode::Infer);
            const Tensor x = rest.input("x", {B, T, config.embd}, DType::F32);
            const auto weight = [&](const char* name) {
                for (const Weight& w : model.weights.all())
                    if (w.name == name) return w;
                return Weight{};
            };
            const bool rms = config.arch == "llama";
            const Tensor normed = rest.norm(x, {weight("output_norm.weight"), weight("output_norm.bias"), config.eps, rms});
            const Tensor out = rest.output(family->logits(rest, model.weights, family->head("lm"), normed));
            const Plan p = compile(std::move(rest), backend);
            p.set<float>(x, values(hidden));
            p.run({});
            std::vector<float> v(static_cast<size_t>(B * T * config.vocab));
            p.get(out, std::span(v));
            return v;
        };
        EXPECT_LE(relative_error(then(trace["blk.1"]), values(logits)), 1e-6);
        EXPECT_GT(relative_error(then(trace["blk.0"]), values(logits)), 0.01);
        EXPECT_GT(relative_error(values(trace["embd"]), values(trace["blk.0"])), 0.01);
        EXPECT_MENTIONS(error_of([&] { trace["blk.2"]; }), "`blk.2`");
        EXPECT_MENTIONS(error_of([&] { trace["blk.0.attn"]; }), "`blk.0.attn`");
    }
}

}  // namespace
}  // namespace nib
