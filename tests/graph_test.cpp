// Recording a whole model: gradients against finite differences, the same bits for any number of threads and when blocks
// are computed again, operations counted.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "cpu/isa.h"
#include "gpt_case.h"
#include "numbers.h"
#include "plan_checks.h"
#include "ref/kernels.h"

namespace nib {
namespace {

using namespace test;

// Loss and all gradients of one training step.
struct Outcome {
    std::vector<float> losses, gradients;
};

Outcome train_once(const KernelTable& table, int threads, const ModelConfig& config, int64_t B, int64_t T, float dropout) {
    CpuBackend backend(table, threads);
    const GptCase model(backend, config);
    randomize(model, 1);
    const LossGraph graph(model, Mode::Train, B, T, dropout);
    const Plan plan = compile(graph.graph, backend);
    graph.set(plan, random_tokens(B * T, config.vocab, 2), random_tokens(B * T, config.vocab, 3));
    plan.run(training_step(B * T));
    return {graph.losses(plan), model.all_gradients()};
}

// Along each parameter's own gradient g the loss changes at the rate |g|.
void expect_gradients(const ModelConfig& config, float dropout) {
    constexpr int64_t B = 3, T = 8, R = B * T;
    CpuBackend backend(ref::table, 2);
    const GptCase model(backend, config);
    randomize(model, 1);
    const LossGraph graph(model, Mode::Train, B, T, dropout);
    const Plan plan = compile(graph.graph, backend);
    std::vector<int32_t> targets = random_tokens(R, config.vocab, 3);
    targets[5] = kIgnore;
    graph.set(plan, random_tokens(R, config.vocab, 2), targets);
    const Step step = training_step(R);
    const auto loss = [&] {
        plan.run(step);
        const std::vector<float> losses = graph.losses(plan);
        return std::accumulate(losses.begin(), losses.end(), 0.0) / R;
    };
    loss();
    EXPECT_EQ(graph.losses(plan)[5], 0);
    for (size_t i = 0; i < model.specs.size(); ++i) {
        loss();
        const std::vector<float> at = model.value(i), g = model.gradient(i);
        const double length = std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0));
        ASSERT_GT(length, 1e-4) << model.specs[i].name;
        const double h = 3e-3;
        const auto moved = [&](double by) {
            std::vector<float> v(at);
            for (size_t j = 0; j < v.size(); ++j) v[j] += static_cast<float>(by * g[j] / length);
            model.set_value(i, std::span<const float>(v));
            return loss();
        };
        const double rate = (moved(h) - moved(-h)) / (2 * h);
        model.set_value(i, std::span<const float>(at));
        EXPECT_NEAR(rate, length, 0.01 * length + 1e-4) << config.arch << " " << model.specs[i].name << " act "
                                                        << static_cast<int>(config.act) << " dropout " << dropout;
    }
}

TEST(Graph, GradientsOfAWholeModel) {
    for (const float dropout : {0.0f, 0.2f}) {
        for (const Act act : {Act::GeluTanh, Act::GeluErf}) {  // ReLU has kinks; reference_test.cpp has its gradient
            ModelConfig config = tiny_config(act != Act::GeluErf);
            config.act = act;
            expect_gradients(config, dropout);
        }
        expect_gradients(tiny_llama(true, true), dropout);
        expect_gradients(tiny_llama(false), dropout);
    }
}

TEST(Graph, FrozenWeightsGetNoGradientAndChangeNoOther) {
    constexpr int64_t B = 3, T = 8, R = B * T;
    const std::function<bool(const std::string&)> choices[] = {
        [](const std::string& name) { return name.ends_with(".bias"); },
        [](const std::string& name) { return !name.ends_with(".bias"); },
        [](const std::string& name) { return name.starts_with("blk.1.") || name.starts_with("output"); },
        [](const std::string& name) { return name.find("attn") == name.npos; },
        [](const std::string& name) { return name == "token_embd.weight"; },
    };
    for (const ModelConfig& config : {tiny_config(), tiny_config(false), tiny_llama(true, true)})
        for (const auto& trained : choices) {
            CpuBackend backend(ref::table, 2);
            GptCase model(backend, config);
            randomize(model, 1);
            const auto train = [&] {
                const LossGraph graph(model, Mode::Train, B, T);
                const Plan plan = compile(graph.graph, backend);
                graph.set(plan, random_tokens(R, config.vocab, 2), random_tokens(R, config.vocab, 3));
                plan.run(training_step(R));
            };
            train();
            std::vector<std::vector<float>> expected;
            for (size_t i = 0; i < model.specs.size(); ++i) {
                expected.push_back(model.gradient(i));
                const std::vector<float> untouched(model.count(i), -5.0f);
                backend.upload({model.gradients, model.offsets[i] * 4}, std::as_bytes(std::span(untouched)));
            }
            std::vector<Weight> weights = model.weights.all();
            for (Weight& weight : weights) weight.trained = trained(weight.name);
            model.weights = Weights(weights);
            train();
            for (size_t i = 0; i < model.specs.size(); ++i) {
                if (!weights[i].trained) expected[i].assign(model.count(i), -5.0f);
                EXPECT_TRUE(same_bits(model.gradient(i), expected[i])) << config.arch << " " << model.specs[i].name;
            }
        }
}

TEST(Graph, SameBitsForAnyNumberOfThreads) {
    for (const KernelTable* table : kernel_tables())
        // Many sequences go by sequence, few are shared out; in between it depends on the number of threads.
        for (const auto& [B, T] : {
                 std::pair<int64_t, int64_t>{16, 13},
                  {2,  13},
                  {8,  20},
                  {8,  2 },
                  {5,  3 },
                  {4,  1 },
                  {40, 30}
        }) {
            if (table == &ref::table && B == 40) continue;
            for (const ModelConfig& config : {tiny_config(), tiny_llama()}) {
                const Outcome one = train_once(*table, 1, config, B, T, 0.1f);
                for (const int threads : {2, 3}) {
                    const Outcome other = train_once(*table, threads, config, B, T, 0.1f);
                    EXPECT_TRUE(same_bits(other.losses, one.losses)) << table->name << " B " << B << " T " << T;
                    EXPECT_TRUE(same_bits(other.gradients, one.gradients)) << table->name << " B " << B << " T " << T;
                }
            }
        }
}

TEST(Graph, EveryTableGivesTheReferencesGradients) {
    for (const ModelConfig& config : {tiny_config(false), tiny_llama(false)})
        for (const int64_t B : {2, 16}) {
            const Outcome expected = train_once(ref::table, 1, config, B, 13, 0.1f);
            for (const KernelTable* table : kernel_tables()) {
                const Outcome got = train_once(*table, 2, config, B, 13, 0.1f);
                EXPECT_LE(relative_error(got.losses, expected.losses), 1e-6) << config.arch << " " << table->name;
                EXPECT_LE(relative_error(got.gradients, expected.gradients), 5e-6) << config.arch << " " << table->name;
            }
        }
}

// Recomputation keeps less, and gives the same bits.
TEST(Graph, RecomputationGivesTheSameBitsWithLessMemory) {
    for (const KernelTable* table : kernel_tables())
        for (const int64_t B : {2, 16}) {
            ModelConfig config = tiny_config();
            config.layers = 6;
            CpuBackend backend(*table, 2);
            const GptCase model(backend, config);
            randomize(model, 1);
            std::vector<float> losses[2], gradients[2];
            size_t bytes[2];
            for (const bool recompute : {false, true}) {
                const LossGraph graph(model, Mode::Train, B, 13, 0.1f, recompute);
                const Plan plan = compile(graph.graph, backend);
                check_schedule(plan);
                check_arena(plan);
                graph.set(plan, random_tokens(B * 13, config.vocab, 2), random_tokens(B * 13, config.vocab, 3));
                plan.run(training_step(B * 13));
                losses[recompute] = graph.losses(plan), gradients[recompute] = model.all_gradients();
                bytes[recompute] = plan.arena_bytes;
            }
            EXPECT_TRUE(same_bits(losses[0], losses[1])) << table->name;
            EXPECT_TRUE(same_bits(gradients[0], gradients[1])) << table->name;
            EXPECT_LT(bytes[1], bytes[0] / 2) << table->name;
        }
}

// Written out by hand: what a token is multiplied by, and attention's part of the triangle.
TEST(Graph, CountsOperations) {
    const auto fixed = [](Graph& g, Shape shape) { return g.input("x", shape, DType::F32); };
    const auto weight = [](int64_t rows, int64_t columns) {
        Weight w;
        w.name = "w", w.shape = {rows, columns}, w.value = {0, 0};
        return w;
    };
    Graph g(Mode::Infer);
    const Tensor x = fixed(g, {2, 5, 8});
    g.linear(x, {weight(12, 8), {}});
    EXPECT_EQ(g.flops(), 2.0 * 10 * 8 * 12);
    g.attention({x, fixed(g, {2, 5, 4}), fixed(g, {2, 5, 4})}, {.heads = 4, .kv_heads = 2});
    const double causal = 2.0 * 2 * (2 * 4 * 2) * (1 + 2 + 3 + 4 + 5);  // two products; B H D times pairs
    EXPECT_EQ(g.flops(), 2.0 * 10 * 8 * 12 + causal);
    g.attention({x, fixed(g, {2, 7, 8}), fixed(g, {2, 7, 8})}, {.heads = 4, .causal = false});
    EXPECT_EQ(g.flops(), 2.0 * 10 * 8 * 12 + causal + 2.0 * 2 * (2 * 4 * 2) * (5 * 7));
}

}  // namespace
}  // namespace nib
