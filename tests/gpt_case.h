// A GPT with its weights and gradients in the buffers of a CPU backend, for tests of whole models.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/plan.h"
#include "cpu/backend.h"
#include "model/architecture.h"
#include "model/pair_inputs.h"
#include "op_cases.h"

namespace nib::test {

/// The parameters of a model one after another in one buffer, their gradients in the same order in another.
class GptCase {
public:
    GptCase(Backend& backend, const ModelConfig& config) : backend(backend), config(config) {
        for (const ParameterSpec& spec : model_parameters(config)) {
            offsets.push_back(total);
            specs.push_back(spec);
            total += (static_cast<size_t>(spec.shape.elements()) + 15) / 16 * 16;
        }
        values = backend.allocate(total * 4);
        gradients = backend.allocate(total * 4);
        size_t next = 0;
        weights = place_weights(config, [&](const ParameterSpec& spec) {
            const size_t at = offsets[next++] * 4;
            return Weight{
                spec.name, spec.shape, DType::F32, {values,    at},
                   {gradients, at}
            };
        });
    }
    ~GptCase() {
        backend.release(values);
        backend.release(gradients);
    }
    GptCase(const GptCase&) = delete;
    GptCase& operator=(const GptCase&) = delete;

    size_t count(size_t parameter) const { return static_cast<size_t>(specs[parameter].shape.elements()); }
    void set_value(size_t parameter, std::span<const float> v) const {
        backend.upload({values, offsets[parameter] * 4}, std::as_bytes(v));
    }
    std::vector<float> get(int buffer, size_t parameter) const {
        std::vector<float> v(count(parameter));
        backend.download({buffer, offsets[parameter] * 4}, std::as_writable_bytes(std::span(v)));
        return v;
    }
    std::vector<float> value(size_t parameter) const { return get(values, parameter); }
    std::vector<float> gradient(size_t parameter) const { return get(gradients, parameter); }
    std::vector<float> all_gradients() const {
        std::vector<float> v(total);
        backend.download({gradients, 0}, std::as_writable_bytes(std::span(v)));
        return v;
    }

    Backend& backend;
    const ModelConfig config;
    std::vector<ParameterSpec> specs;
    std::vector<size_t> offsets;  // of parameters, in floats
    size_t total = 0;             // floats
    int values = -1, gradients = -1;
    Weights weights;
};

/// A model of two small layers.
inline ModelConfig tiny_config(bool tied = true) {
    ModelConfig c;
    c.layers = 2, c.heads = 2, c.embd = 12, c.context = 32, c.vocab = 17;
    c.tied = tied;
    return c;
}

/// The same of Llama's family, with fewer heads of keys than of queries.
inline ModelConfig tiny_llama(bool tied = true, bool biases = false) {
    ModelConfig c;
    c.arch = "llama";
    find_architecture(c.arch)->defaults(c);
    c.layers = 2, c.heads = 4, c.kv_heads = 2, c.embd = 16, c.context = 32, c.vocab = 17, c.ffn = 24;
    c.tied = tied;
    c.qkv_bias = biases;
    find_architecture(c.arch)->complete(c);
    return c;
}

/// Weights large enough that no gradient is near zero.
inline void randomize(const GptCase& model, uint64_t seed) {
    Random random(seed);
    for (size_t i = 0; i < model.specs.size(); ++i) {
        std::vector<float> v(model.count(i));
        const float mean = model.specs[i].init == ParameterSpec::Init::One ? 1.0f : 0.0f;
        for (float& x : v) x = mean + random.uniform(-0.5f, 0.5f);
        model.set_value(i, std::span<const float>(v));
    }
}

inline std::vector<int32_t> random_tokens(int64_t count, int64_t vocab, uint64_t seed) {
    Random random(seed);
    std::vector<int32_t> tokens(static_cast<size_t>(count));
    for (int32_t& t : tokens) t = static_cast<int32_t>(random.below(vocab));
    return tokens;
}

inline Step training_step(int64_t rows) {
    Step s;
    s.seed = 11;
    s.index = 3;
    s.loss_scale = 1 / static_cast<float>(rows);
    return s;
}

/// The logits (B,T,V) of a graph without a cache, as a plan that has not run.
struct LogitsGraph {
    TokenInputs inputs;
    PairInputs pairs;  // of models with an encoder
    Tensor logits;
    Plan plan;
    int64_t T;

    /// `source_time`: of models with an encoder.
    LogitsGraph(Backend& backend, const ModelConfig& config, const Weights& weights, int64_t batch, int64_t time,
                int64_t source_time = 0)
        : T(time) {
        Graph graph(Mode::Infer);
        if (config.has_encoder())
            pairs = PairInputs(graph, config, batch, source_time, time);
        else
            inputs = TokenInputs(graph, config, batch, time);
        const auto model = make_model(config);
        const Tensor hidden = model->hidden(graph, config.has_encoder() ? pairs.inputs(weights) : inputs.inputs(weights));
        logits = graph.output(model->logits(graph, weights, model->heads()[0], hidden));
        plan = compile(std::move(graph), backend);
    }
    std::vector<float> run(std::span<const int32_t> ids, const SourceBatch& sources = {}) {
        Step step;
        if (!sources.ids.empty()) {
            const std::vector<int32_t> targets(ids.size());
            pairs.set(plan, ids, targets, sources, step);
        } else {
            std::vector<int32_t> where(ids.size());
            for (size_t r = 0; r < where.size(); ++r) where[r] = static_cast<int32_t>(r % static_cast<size_t>(T));
            inputs.set(plan, ids, where);
        }
        plan.run(step);
        std::vector<float> values(plan.tensors[static_cast<size_t>(logits.id)].bytes() / 4);
        plan.get(logits, std::span(values));
        return values;
    }
};

/// Loss, and in Mode::Train its gradients, as a graph and what the host sets and reads.
struct LossGraph {
    Graph graph;
    mutable TokenInputs inputs;
    mutable PairInputs pairs;  // of models with an encoder
    Tensor targets;
    Graph::LogProbs scores;
    int64_t B, T;
    mutable int64_t rows = 0;  // in use

    LossGraph(const GptCase& gpt_case, Mode mode, int64_t batch, int64_t time, float dropout = 0, bool recompute = false,
              int64_t source_time = 0)
        : graph(mode), B(batch), T(time) {
        const bool paired = gpt_case.config.has_encoder();
        if (paired) {
            pairs = PairInputs(graph, gpt_case.config, B, source_time, T);
            targets = pairs.targets();
        } else {
            inputs = TokenInputs(graph, gpt_case.config, B, T);
            targets = graph.input("targets", {B, T}, DType::I32);
        }
        const auto model = make_model(gpt_case.config);
        const Head& head = model->heads()[0];
        const Tensor hidden = model->hidden(
            graph, paired ? pairs.inputs(gpt_case.weights, dropout) : inputs.inputs(gpt_case.weights, dropout));
        const Tensor x = model->features(graph, gpt_case.weights, head, hidden);
        scores = graph.cross_entropy(x, gpt_case.weights[head.output], targets);
        graph.output(scores.logp);
        if (mode == Mode::Train) graph.record_backward(recompute);
    }
    /// Sets the inputs; `step` with the rows in use.
    Step set(const Plan& plan, std::span<const int32_t> tokens, std::span<const int32_t> goals,
             const SourceBatch& sources = {}, Step step = {}) const {
        if (!sources.ids.empty()) {
            rows = pairs.set(plan, tokens, goals, sources, step);
            return step;
        }
        std::vector<int32_t> where(static_cast<size_t>(B * T));
        for (size_t r = 0; r < where.size(); ++r) where[r] = static_cast<int32_t>(r % static_cast<size_t>(T));
        inputs.set(plan, tokens, where);
        plan.set(targets, goals);
        rows = B * T;
        return step;
    }
    /// Cross-entropy of each row in use in nats.
    std::vector<float> losses(const Plan& plan) const {
        std::vector<float> v(static_cast<size_t>(B * T));
        plan.get(scores.logp, std::span(v));
        v.resize(static_cast<size_t>(rows));
        for (float& x : v) x = 0.0f - x;
        return v;
    }
};

}  // namespace nib::test
