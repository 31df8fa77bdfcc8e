// Recording: gradients of a whole model against finite differences, the same bits for any number of threads, the loss in
// chunks, inference with a cache, what is refused.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cpu/isa.h"
#include "gpt_case.h"
#include "op_cases.h"
#include "plan_checks.h"
#include "ref/kernels.h"
#include "test_errors.h"

namespace nib {
namespace {

using namespace test;

double norm(const std::vector<float>& v) {
    double sum = 0;
    for (const float x : v) sum += static_cast<double>(x) * x;
    return std::sqrt(sum);
}

double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
    std::vector<float> d(a);
    for (size_t i = 0; i < d.size(); ++i) d[i] -= b[i];
    return norm(d) / norm(b);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
}

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
        const double length = norm(g);
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

// ---- the loss --------------------------------------------------------------------------------------------------------

struct LossResult {
    std::vector<float> losses, dx, dw;
};

// The loss of random x (R,C) and head (V,C), recorded with loss() or as one chunk by hand.
LossResult run_loss(int64_t B, int64_t T, int64_t C, int64_t V, bool by_hand, float smoothing) {
    CpuBackend backend(kernel_table("auto"), 2);
    const int64_t R = B * T;
    Random random(4);
    const auto numbers = [&](int64_t n) {
        std::vector<float> v(static_cast<size_t>(n));
        for (float& x : v) x = random.uniform();
        return v;
    };
    const int values = backend.allocate(static_cast<size_t>(V * C * 4)),
              gradients = backend.allocate(static_cast<size_t>(V * C * 4));
    const std::vector<float> head_values = numbers(V * C), x_values = numbers(R * C);
    std::vector<int32_t> target_values = random_tokens(R, V, 5);
    for (size_t r = 0; r < target_values.size(); r += 7) target_values[r] = kIgnore;
    backend.upload({values, 0}, std::as_bytes(std::span(head_values)));
    const Weight head{
        "head", {V,         C},
         DType::F32, {values,    0},
         {gradients, 0}
    };
    Graph graph(Mode::Train);
    const Tensor x = graph.input("x", {B, T, C}, DType::F32), targets = graph.input("targets", {B, T}, DType::I32);
    graph.want_gradient(x);
    Tensor logp, dx;
    if (by_hand) {
        const Tensor w = graph.weight(head), logits = graph.make({B, T, V});
        logp = graph.make({B, T}), dx = graph.make({B, T, C});
        graph.add(Op::Linear, {}, {x, w}, {logits});
        graph.add(Op::CrossEntropy, {.smoothing = smoothing}, {logits, targets}, {logp, logits});
        graph.add(Op::LinearBackward, {}, {logits, w}, {dx});
        graph.add(Op::LinearBackwardWeight, {}, {logits, x}, {graph.gradient(w).tensor});
    } else {
        logp = graph.cross_entropy(x, {head, {}}, targets, {}, smoothing).logp;
        graph.record_backward();
        dx = graph.gradient(x).tensor;
    }
    graph.output(logp);
    graph.output(dx);
    const Plan plan = compile(graph, backend);
    check_schedule(plan);
    plan.set(x, std::span<const float>(x_values));
    plan.set(targets, std::span<const int32_t>(target_values));
    plan.run(training_step(R));
    LossResult result{std::vector<float>(static_cast<size_t>(R)), std::vector<float>(static_cast<size_t>(R * C)),
                      std::vector<float>(static_cast<size_t>(V * C))};
    plan.get(logp, std::span(result.losses));
    for (float& x_loss : result.losses) x_loss = 0.0f - x_loss;
    plan.get(dx, std::span(result.dx));
    backend.download({gradients, 0}, std::as_writable_bytes(std::span(result.dw)));
    for (size_t r = 0; r < target_values.size(); ++r) {
        const bool ignored = target_values[r] == kIgnore;
        EXPECT_EQ(result.losses[r] == 0, ignored) << r;
        for (int64_t c = 0; c < C; ++c)
            EXPECT_EQ(result.dx[r * static_cast<size_t>(C) + static_cast<size_t>(c)] == 0, ignored);
    }
    return result;
}

TEST(Loss, ChunksGiveWhatOneChunkGives) {
    // About 240 rows of 70000 logits are a chunk: whole sequences of 32, or parts of one of 300.
    for (const auto& [B, T] : {
             std::pair<int64_t, int64_t>{16, 32 },
              {2,  300}
    }) {
        const float smoothing = T == 300 ? 0.1f : 0;
        const LossResult chunks = run_loss(B, T, 3, 70000, false, smoothing),
                         whole = run_loss(B, T, 3, 70000, true, smoothing);
        EXPECT_LE(relative_error(chunks.losses, whole.losses), 1e-6);
        EXPECT_LE(relative_error(chunks.dx, whole.dx), 1e-6);
        EXPECT_LE(relative_error(chunks.dw, whole.dw), 1e-6);
    }
}

TEST(Loss, TiedHeadsAddTheirGradients) {
    CpuBackend backend(kernel_table("auto"), 2);
    constexpr int64_t B = 3, T = 8, R = B * T;
    const GptCase tied(backend, tiny_config(true)), untied(backend, tiny_config(false));
    randomize(tied, 1);
    ASSERT_EQ(untied.specs.size(), tied.specs.size() + 1);
    ASSERT_EQ(untied.specs.back().name, "output.weight");
    ASSERT_EQ(tied.specs[0].name, "token_embd.weight");
    for (size_t i = 0; i < tied.specs.size(); ++i) untied.set_value(i, std::span<const float>(tied.value(i)));
    untied.set_value(tied.specs.size(), std::span<const float>(tied.value(0)));
    std::vector<float> losses[2];
    for (const GptCase* model : {&tied, &untied}) {
        const LossGraph graph(*model, Mode::Train, B, T);
        const Plan plan = compile(graph.graph, backend);
        graph.set(plan, random_tokens(R, 17, 2), random_tokens(R, 17, 3));
        plan.run(training_step(R));
        losses[model == &untied] = graph.losses(plan);
    }
    EXPECT_TRUE(same_bits(losses[0], losses[1]));
    std::vector<float> sum = untied.gradient(0);
    const std::vector<float> head = untied.gradient(tied.specs.size());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += head[i];
    EXPECT_LE(relative_error(tied.gradient(0), sum), 1e-6);
    for (size_t i = 1; i < tied.specs.size(); ++i) EXPECT_TRUE(same_bits(tied.gradient(i), untied.gradient(i)));
}

// ---- inference -------------------------------------------------------------------------------------------------------

// Logits (tokens,V) of one sequence, fed to a plan for at most `width` rows in pieces of the given sizes; each piece's last
// row is gathered for the head, as generation does it.
struct Generator {
    CpuBackend backend;
    GptCase model;
    std::vector<KvCache> caches;
    int cache_buffer;

    Generator(const KernelTable& table, int threads, int64_t capacity, const ModelConfig& config)
        : backend(table, threads), model(backend, config) {
        randomize(model, 1);
        const auto bytes = static_cast<size_t>(capacity * config.kv() * config.head_dim() * 4);
        cache_buffer = backend.allocate(bytes * 2 * static_cast<size_t>(model.config.layers));
        for (size_t l = 0; l < static_cast<size_t>(model.config.layers); ++l)
            caches.push_back({
                {cache_buffer, 2 * l * bytes      },
                {cache_buffer, (2 * l + 1) * bytes},
                DType::F32,
                1,
                config.kv(),
                capacity,
                config.head_dim()
            });
    }
    std::vector<float> last_logits(const std::vector<int32_t>& tokens, int64_t width, const std::vector<int64_t>& pieces) {
        Graph graph(Mode::Infer);
        const RowCount live = graph.add_row_count();
        TokenInputs inputs(graph, model.config, 1, width, live);
        const Tensor slots = graph.input("slots", {1, width}, DType::I32, live);
        const Tensor spans = graph.input("spans", {1, width, 2}, DType::I32, live);
        const Tensor rows = graph.input("rows", {1}, DType::I32);
        const CacheInputs cache{caches, slots, spans};
        const auto gpt = make_model(model.config);
        const Tensor x = gpt->hidden(graph, inputs.inputs(model.weights, 0, &cache));
        const Tensor logits = graph.output(gpt->logits(graph, model.weights, gpt->head("lm"), graph.gather(x, rows)));
        const Plan plan = compile(graph, backend);
        check_schedule(plan);
        int64_t at = 0;
        for (const int64_t count : pieces) {
            std::vector<int32_t> part(static_cast<size_t>(width)), where(part), seen(2 * part.size());
            plan.set(slots, std::span<const int32_t>(part));
            for (int64_t i = 0; i < count; ++i) {
                part[static_cast<size_t>(i)] = tokens[static_cast<size_t>(at + i)];
                where[static_cast<size_t>(i)] = static_cast<int32_t>(at + i);
                seen[static_cast<size_t>(2 * i + 1)] = static_cast<int32_t>(at + i + 1);
            }
            plan.set(spans, std::span<const int32_t>(seen));
            inputs.set(plan, part, where);
            plan.set(rows, std::span<const int32_t>({static_cast<int32_t>(count - 1)}));
            Step step;
            step.rows[0] = count;
            plan.run(step);
            at += count;
        }
        std::vector<float> result(static_cast<size_t>(model.config.vocab));
        plan.get(logits, std::span(result));
        return result;
    }
};

TEST(Inference, CachedPiecesGiveWhatTheWholeSequenceGives) {
    constexpr int64_t T = 20;
    const std::vector<int32_t> tokens = random_tokens(T, 17, 2);
    for (const KernelTable* table : kernel_tables())
        for (const ModelConfig& config : {tiny_config(), tiny_llama()}) {
            const int threads = config.arch == "gpt2" ? 1 : 2;
            Generator generator(*table, threads, 32, config);
            // Without a cache, all logits.
            const std::vector<float> all =
                LogitsGraph(generator.backend, generator.model.config, generator.model.weights, 1, T).run(tokens);
            const std::vector<float> expected(all.end() - 17, all.end());
            EXPECT_LE(relative_error(generator.last_logits(tokens, T, {T}), expected), 1e-5) << table->name;
            EXPECT_LE(relative_error(generator.last_logits(tokens, 16, {16, 3, 1}), expected), 1e-5) << table->name;
            EXPECT_LE(relative_error(generator.last_logits(tokens, 1, std::vector<int64_t>(T, 1)), expected), 1e-5)
                << table->name;
            EXPECT_LE(relative_error(generator.last_logits(tokens, 9, {9, 2, 9}), expected), 1e-5) << table->name;
        }
}

// Rows that were gathered are no longer the step's rows: each of them has its head, and none more.
TEST(Inference, GatheredRowsDoNotDependOnTheStepsRows) {
    for (const KernelTable* table : kernel_tables())
        for (const int64_t picked : {1, 2, 5}) {
            CpuBackend backend(*table, 1);
            constexpr int64_t T = 8, C = 6, V = 11;
            Random random(6);
            std::vector<float> x_values(T * C), w_values(V * C);
            for (float& v : x_values) v = random.uniform();
            for (float& v : w_values) v = random.uniform();
            const int weights = backend.allocate(w_values.size() * 4), after = backend.allocate(4 * V * T);
            backend.upload({weights, 0}, std::as_bytes(std::span(w_values)));
            Graph graph(Mode::Infer);
            const Tensor x = graph.input("x", {1, T, C}, DType::F32, graph.add_row_count());
            const Tensor rows = graph.input("rows", {picked}, DType::I32);
            const LinearWeights head{
                {"w",         {V, C}, DType::F32, {weights, 0}, {}},
                {        }
            };
            // The result stands in a buffer of its own, with room behind it that must stay zero.
            const Tensor gathered = graph.gather(x, rows);
            const Tensor y = graph.fixed("y", {1, picked, V}, DType::F32, {after, 0});
            graph.add(Op::Linear, {}, {gathered, graph.weight(head.w)}, {y});
            const Plan plan = compile(graph, backend);
            std::vector<int32_t> which(static_cast<size_t>(picked));
            for (size_t i = 0; i < which.size(); ++i) which[i] = static_cast<int32_t>(i % 3);
            plan.set(x, std::span<const float>(x_values));
            plan.set(rows, std::span<const int32_t>(which));
            Step step;
            step.rows[0] = 3;
            plan.run(step);
            std::vector<float> got(V * T);
            backend.download({after, 0}, std::as_writable_bytes(std::span(got)));
            for (size_t i = 0; i < got.size(); ++i) {
                double expected = 0;
                if (i / V < which.size())
                    for (size_t c = 0; c < C; ++c)
                        expected += static_cast<double>(x_values[static_cast<size_t>(which[i / V]) * C + c]) *
                                    w_values[i % V * C + c];
                ASSERT_NEAR(got[i], expected, 1e-6) << table->name << ": row " << i / V << " of " << picked << " gathered";
            }
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

// ---- wrong use -------------------------------------------------------------------------------------------------------

Weight weight_at(const char* name, Shape shape, int buffer = 0, size_t offset = 0) {
    Weight w;
    w.name = name, w.shape = shape, w.value = {buffer, offset};
    return w;
}

// Whatever a caller gets wrong is an Error that says what, on one line, and never ends the process.
TEST(Graph, WrongTensorsAreRefused) {
    Graph g(Mode::Train);
    const Tensor x = g.input("x", {2, 3, 8}, DType::F32), flat = g.input("flat", {6, 8}, DType::F32);
    EXPECT_MENTIONS(error_of([] { Graph(Mode::Train, DType::BF16); }), "f32 or f16");
    EXPECT_MENTIONS(error_of([] { Shape({1, 1, 1, 1, 1}); }), "5 dimensions");
    EXPECT_MENTIONS(error_of([&] { g.make({2, -3}); }), "(2,-3)");
    EXPECT_MENTIONS(error_of([&] { g.make({5}, DType::Q8_0); }), "5 numbers are no whole number of q8_0 blocks of 32");
    EXPECT_MENTIONS(error_of([&] { g.make({5}, static_cast<DType>(99)); }), "no type 99");
    EXPECT_MENTIONS(error_of([&] { g.input("y", {2, 3}, DType::F32, 0); }), "no row count 0");
    for (const Tensor t : {Tensor{}, Tensor{1000}}) {
        EXPECT_MENTIONS(error_of([&] { g.info(t); }), "missing, or of another graph");
        EXPECT_MENTIONS(error_of([&] { g.output(t); }), "missing, or of another graph");
        EXPECT_MENTIONS(error_of([&] { g.want_gradient(t); }), "missing, or of another graph");
        EXPECT_MENTIONS(error_of([&] { g.gradient(t); }), "missing, or of another graph");
        EXPECT_MENTIONS(error_of([&] { g.norm(t, {weight_at("gain", {8}), {}}); }), "missing, or of another graph");
    }
    EXPECT_MENTIONS(error_of([&] { g.view(x, {2, 3, 8}, 4); }), "does not fit into a tensor (2,3,8)");
    EXPECT_MENTIONS(error_of([&] { g.view(x, {1}, SIZE_MAX); }), "does not fit into a tensor (2,3,8)");
    for (const auto& [first, count] : {
             std::pair{-1, 2},
             {0,  0},
             {7,  2},
             {9,  1}
    })
        EXPECT_MENTIONS(error_of([&, f = first, c = count] { g.columns(x, f, c); }), "has no columns");
    EXPECT_MENTIONS(error_of([&] { g.columns(flat, 0, 2); }), "a tensor (6,8) has no columns 0 to 1");
    for (const auto& [heads, kv] : {
             std::pair{0, 0 },
             {2, -1},
             {3, 1 }
    })
        EXPECT_MENTIONS(error_of([&, h = heads, k = kv] { g.split_qkv(x, h, k); }), "does not divide into");
    EXPECT_MENTIONS(error_of([&] { g.fixed("w", {2}, DType::F32, {}); }), "`w` has no place");
    g.weight(weight_at("one", {4}));
    EXPECT_MENTIONS(error_of([&] { g.weight(weight_at("two", {2, 2})); }), "`two` (2,2) has the place of `one` (4)");
    Weight half = weight_at("half", {4}, 1);
    half.type = DType::F16;
    EXPECT_MENTIONS(error_of([&] { g.weight(half); }), "`half` is f16; only f32 is trained");
    half.trained = false;
    EXPECT_TRUE(g.weight(half));
}

TEST(Graph, WrongOperationsAreRefused) {
    Graph g(Mode::Train);
    const Tensor x = g.input("x", {2, 3, 8}, DType::F32), flat = g.input("flat", {6, 8}, DType::F32),
                 rotation = g.input("rotation", {2, 3, 4}, DType::F32), ids = g.input("ids", {2, 3}, DType::I32);
    size_t place = 0;  // of a weight: each has its own
    const auto linear = [&](Shape shape) { return LinearWeights{weight_at("w", shape, 2, place += 4096), {}}; };
    EXPECT_MENTIONS(error_of([&] { g.linear(x, {}); }), "op `linear`: operand `w` is missing");
    EXPECT_MENTIONS(error_of([&] {
                        g.linear(x, linear({4, 7}));
                    }),
                    "operand `w` has shape (4,7), which does not fit (N,C)");
    EXPECT_MENTIONS(error_of([&] { g.linear(flat, linear({4, 8})); }), "operand `x` has shape (6,8)");
    EXPECT_MENTIONS(error_of([&] { g.linear(ids, linear({4, 8})); }), "op `linear`: operand `x` has type i32");
    EXPECT_MENTIONS(error_of([&] { g.glu(x, rotation, Act::Silu); }), "op `glu`: operand `up` has shape (2,3,4)");
    EXPECT_MENTIONS(error_of([&] { g.add(Op::Glu, {}, {x, x, x}, {x}); }), "op `glu`: operand `(none)` is one too many");
    EXPECT_MENTIONS(error_of([&] { g.add(Op::Glu, {}, {x, x}, {x, x, x, x, x}); }), "op `glu`: too many operands");
    for (const float dropout : {-0.1f, 1.0f, NAN})
        EXPECT_MENTIONS(error_of([&] { g.linear(x, linear({8, 8}), {.dropout = dropout}); }), "a dropout of ");
    const auto rope = [&](Tensor t, Tensor angles, int64_t heads, int64_t size) {
        return error_of([&] { g.rope(t, angles, {.heads = heads, .head_size = size}); });
    };
    for (const auto& [heads, size] : {
             std::pair{0, 4},
             {2, 0},
             {3, 4},
             {4, 2}
    })
        EXPECT_MENTIONS(rope(x, rotation, heads, size), "are not in a tensor (2,3,8)");
    EXPECT_MENTIONS(rope(flat, rotation, 2, 4), "are not in a tensor (6,8)");
    const Tensor narrow = g.input("narrow", {2, 3, 4}, DType::F32);
    const auto attention = [&](const Qkv& qkv, const AttentionOptions& options) {
        return error_of([&] { g.attention(qkv, options); });
    };
    for (const auto& [heads, kv] : {
             std::pair{0,  0},
             {3,  0},
             {-2, 1},
             {4,  3}
    })
        EXPECT_MENTIONS(attention({x, x, x}, {.heads = heads, .kv_heads = kv}), "does not fit queries (2,3,8)");
    EXPECT_MENTIONS(attention({x, narrow, narrow}, {.heads = 2}), "keys (2,3,4) are not 2 heads of 4 numbers");
    EXPECT_MENTIONS(attention({x, x, narrow}, {.heads = 2}), "op `attention`: operand `v` has shape (2,3,4)");
    EXPECT_MENTIONS(attention({x, {}, {}}, {.heads = 2}), "op `attention`: operand `k` is missing");
    EXPECT_MENTIONS(attention({x, x, x}, {.heads = 2, .window = -1}), "a window of -1 keys is negative");
    EXPECT_MENTIONS(attention({x, x, x}, {.heads = 2, .spans = ids}), "operand `spans` has shape (2,3)");
    const Tensor turned = g.input("turned", {3, 2}, DType::I32);
    EXPECT_MENTIONS(error_of([&] { g.cross_entropy(x, linear({5, 8}), turned); }), "have shape (2,3), not (3,2)");
    EXPECT_MENTIONS(error_of([&] { g.cross_entropy(x, {}, ids); }), "a head () does not fit hidden states (2,3,8)");
    EXPECT_MENTIONS(error_of([&] { g.log_probs(flat, linear({5, 8}), ids); }), "does not fit hidden states (6,8)");
    EXPECT_MENTIONS(error_of([&] { g.cross_entropy(x, linear({5, 7}), ids); }), "operand `w` has shape (5,7)");
}

TEST(Graph, OperationsOfTheOtherModeAreRefused) {
    Graph train(Mode::Train), infer(Mode::Infer);
    const KvCache cache{
        {0, 0  },
        {0, 256},
        DType::F32, 1, 2, 4, 4
    };
    const auto tensors = [](Graph& g) {
        return std::tuple{g.input("x", {1, 3, 8}, DType::F32), g.input("slots", {1, 3}, DType::I32),
                          g.input("spans", {1, 3, 2}, DType::I32)};
    };
    const auto [tx, ts, tspans] = tensors(train);
    EXPECT_MENTIONS(error_of([&, x = tx, s = ts] { train.store(cache, x, x, s, s); }), "for inference only");
    EXPECT_MENTIONS(error_of([&, x = tx, s = ts, spans = tspans] {
                        train.attention_cached(x, cache, s, {.heads = 2, .spans = spans});
                    }),
                    "for inference only");
    EXPECT_MENTIONS(error_of([&] { infer.record_backward(); }), "no backward pass");
    const auto [x, slots, spans] = tensors(infer);
    const Tensor narrow = infer.input("narrow", {1, 3, 4}, DType::F32);
    EXPECT_MENTIONS(error_of([&, s = slots] { infer.store(cache, narrow, narrow, s, s); }),
                    "keys (1,3,4) do not fit a cache (1,2,4,4)");
    EXPECT_MENTIONS(
        error_of([&, q = x, s = slots, seen = spans] { infer.attention_cached(q, cache, s, {.heads = 4, .spans = seen}); }),
        "4 key/value heads of 2 numbers do not fit a cache (1,2,4,4)");
}

TEST(Graph, WrongGradientsAreRefused) {
    Graph g(Mode::Train);
    const Tensor x = g.input("x", {2, 3, 8}, DType::F32), other = g.make({2, 3, 4});
    EXPECT_MENTIONS(error_of([&] {
                        g.accumulate({
                            {x, true}
                        });
                    }),
                    "there is no node");
    EXPECT_MENTIONS(error_of([&] { g.set_gradient(x, other); }), "not one of shape (2,3,4)");
    g.gradient(x);
    EXPECT_MENTIONS(error_of([&] { g.set_gradient(x, g.make_like(x)); }), "has a gradient already");
    // Keys that are queries, too: their gradients would be written twice.
    g.want_gradient(x);
    const Tensor y = g.attention({x, x, x}, {.heads = 2}), weight = g.weight(weight_at("head", {5, 8}));
    EXPECT_TRUE(g.wants_gradient(weight));
    g.cross_entropy(y, {weight_at("head", {5, 8}), {}}, g.input("targets", {2, 3}, DType::I32));
    EXPECT_MENTIONS(error_of([&] { g.record_backward(); }), "something else takes, too");
}

TEST(Plan, WrongValuesAreRefused) {
    CpuBackend backend(ref::table, 1);
    Graph g(Mode::Infer);
    const Tensor x = g.input("x", {1, 2, 4}, DType::F32);
    const Tensor y = g.output(g.glu(x, x, Act::Silu));
    const auto small = std::make_shared<const Arena>(backend, 64);
    Graph wide(Mode::Infer);
    const Tensor w = wide.input("w", {1, 2, 400}, DType::F32);
    wide.output(wide.glu(w, w, Act::Silu));
    EXPECT_MENTIONS(error_of([&] { compile(wide, backend, small); }), "an arena of 64 bytes is too small");
    const Plan plan = compile(g, backend);
    std::vector<float> values(9);
    EXPECT_MENTIONS(error_of([&] { plan.set<float>(x, std::span(values).first(7)); }), "input `x` takes 32 bytes, not 28");
    EXPECT_MENTIONS(error_of([&] { plan.set<float>(x, values); }), "input `x` takes 32 bytes, not 36");
    EXPECT_MENTIONS(error_of([&] { plan.get(y, std::span(values)); }), "has 32 bytes, not 36");
    EXPECT_MENTIONS(error_of([&] { plan.set<float>(Tensor{1000}, values); }), "of another graph");
    EXPECT_MENTIONS(error_of([&] { plan.get(Tensor{}, std::span(values)); }), "of another graph");
    plan.set<float>(x, std::span(values).first(8));
    plan.run({});
    plan.get(y, std::span(values).first(3));
}

// Kernels trust the numbers in their inputs.
TEST(Plan, NumbersOutsideTheirTensorsAreRefused) {
    CpuBackend backend(ref::table, 1);
    Graph g(Mode::Infer);
    const Arena arena(backend, 1 << 16);
    const auto weight = [&](const char* name, Shape shape) {
        const size_t at = std::string_view(name) == "positions" ? 1024 : 0;
        return Weight{
            name, shape, DType::F32, {arena.buffer(),   at},
               {                }
        };
    };
    const Tensor ids = g.input("ids", {2, 3}, DType::I32), positions = g.input("positions", {2, 3}, DType::I32);
    const Tensor targets = g.input("targets", {2, 3}, DType::I32), rows = g.input("rows", {4}, DType::I32);
    const Tensor spans = g.input("spans", {2, 3, 2}, DType::I32), slots = g.input("slots", {1, 4}, DType::I32);
    const Tensor cached = g.input("cached", {1, 4, 2}, DType::I32);
    Tensor x = g.embed({ids, positions}, {weight("tokens", {7, 4}), weight("positions", {5, 4}), {}});
    x = g.attention({x, x, x}, {.heads = 2, .causal = false, .spans = spans});
    g.output(g.cross_entropy(x, {weight("tokens", {7, 4}), {}}, targets).logp);
    const Tensor some = g.gather(x, rows);
    const KvCache cache{
        {arena.buffer(), 2048},
        {arena.buffer(), 4096},
        DType::F32, 2, 2, 5, 2
    };
    AttentionOptions options{.heads = 2};
    options.spans = cached;
    g.output(g.attention_cached(some, cache, slots, options));
    const Plan plan = compile(g, backend);
    const auto error = [&](Tensor t, std::vector<int32_t> values) {
        return error_of([&] { plan.set<int32_t>(t, values); });
    };
    EXPECT_EQ(error(ids, {0, 1, 2, 3, 4, 6}), "");
    EXPECT_MENTIONS(error(ids, {0, 1, 2, 3, 4, 7}), "input `ids`: number 5 is 7, and not one of 7");
    EXPECT_MENTIONS(error(ids, {0, -1, 2, 3, 4, 6}), "number 1 is -1");
    EXPECT_MENTIONS(error(positions, {0, 1, 2, 0, 1, 5}), "input `positions`: number 5 is 5, and not one of 5");
    EXPECT_EQ(error(targets, {0, kIgnore, 2, 3, 4, 6}), "");
    EXPECT_MENTIONS(error(targets, {0, -2, 2, 3, 4, 6}), "number 1 is -2");
    EXPECT_MENTIONS(error(targets, {0, 7, 2, 3, 4, 6}), "number 1 is 7");
    EXPECT_EQ(error(rows, {5, 0, 5, 1}), "");
    EXPECT_MENTIONS(error(rows, {5, 0, 6, 1}), "input `rows`: number 2 is 6, and not one of 6");
    EXPECT_EQ(error(spans, {0, 2, 0, 2, 2, 3, 0, 1, 1, 1, 1, 3}), "");
    EXPECT_MENTIONS(error(spans, {0, 2, 0, 2, 2, 4, 0, 1, 1, 1, 1, 3}), "row 2 has the keys from 2 to 4 of 3");
    EXPECT_MENTIONS(error(spans, {0, 2, 0, 2, -1, 3, 0, 1, 1, 1, 1, 3}), "row 2 has the keys from -1 to 3 of 3");
    EXPECT_MENTIONS(error(spans, {0, 2, 2, 1, 2, 3, 0, 1, 1, 1, 1, 3}), "row 1 has the keys from 2 to 1 of 3");
    EXPECT_MENTIONS(error(spans, {1, 2, 0, 2, 2, 3, 0, 1, 1, 1, 1, 3}),
                    "row 1 begin or end before those of the row before");
    EXPECT_MENTIONS(error(spans, {0, 2, 0, 2, 2, 3, 1, 2, 1, 1, 1, 3}),
                    "row 4 begin or end before those of the row before");
    EXPECT_EQ(error(cached, {0, 5, 0, 2, 1, 1, 0, 1}), "");  // each row has a slot of its own, so the order is free
    EXPECT_MENTIONS(error(cached, {0, 6, 0, 2, 1, 1, 0, 1}), "row 0 has the keys from 0 to 6 of 5");
    EXPECT_MENTIONS(error(slots, {0, 1, 2, 0}), "input `slots`: number 2 is 2, and not one of 2");
}

}  // namespace
}  // namespace nib
