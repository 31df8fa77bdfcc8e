// Inference with a cache, by hand: in pieces, and with rows gathered for the head.
#include <gtest/gtest.h>

#include <vector>

#include "cpu/isa.h"
#include "gpt_case.h"
#include "numbers.h"
#include "plan_checks.h"

namespace nib {
namespace {

using namespace test;

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

}  // namespace
}  // namespace nib
