#include "train/memory.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/align.h"
#include "core/error.h"
#include "core/plan.h"
#include "train/training_graph.h"

namespace nib {
namespace {

// Buffers as large as the weights: the weights, their gradients, the optimizer's moments.
int copies(const TrainShape& shape) { return 2 + optimizer_moments(shape.optimizer); }

// A rough lower bound, in floating point so that no size overflows.
double least_bytes(const ModelConfig& c, const TrainShape& shape) {
    const auto real = [](int64_t n) { return static_cast<double>(n); };
    const double C = real(c.embd), F = c.ffn > 0 ? real(c.ffn) : 4 * C, L = real(c.layers) + real(c.encoder_layers),
                 R = real(shape.batch) * real(shape.time);
    const double matrices = L * (2 * C * C + 2 * C * real(c.kv()) * real(c.heads > 0 ? c.head_dim() : 0) + 2 * C * F) +
                            (real(c.vocab) * (c.tied ? 1 : 2) + real(c.context)) * C;
    const double each = real(static_cast<int64_t>(dtype_bytes(shape.activations, 1)));
    const double trained = shape.frozen.all().empty() ? matrices : 0;
    return 4 * copies(shape) * trained + (shape.recompute ? 4 * R * L * C : each * R * L * (6 * C + 2 * F));
}

// Weights for graphs that are only measured, never run. Frozen ones have their places, which no other may have.
constexpr int kNoBuffer = 1 << 30;
Weights placeholder_weights(const ParameterLayout& layout, const ModelConfig& config, const TrainShape& shape) {
    return training_weights(config, shape, [&](size_t i) {
        Weight w;
        w.name = layout.specs[i].name;
        w.shape = layout.specs[i].shape;
        w.value = {kNoBuffer, layout.offsets[i]};
        w.gradient = {kNoBuffer + 1, layout.offsets[i]};
        return w;
    });
}

// How many layers lie above a parameter's: 0 of what comes after the last block, 1 of that block, and so on down to the
// embeddings. Of an encoder-decoder the encoder is below the decoder.
int64_t depth_below_top(std::string_view name, const ModelConfig& config) {
    const int64_t block = block_of(name);
    if (block < 0 && is_embedding(name)) return config.layers + config.encoder_layers + 1;
    if (block < 0) return name.starts_with("enc.") ? config.layers : 0;
    return name.starts_with("enc.") ? config.layers + config.encoder_layers - block : config.layers - block;
}

[[noreturn]] void refuse(const char* about, double bytes, double limit) {
    fail(
        "training this model needs %s %s of memory, but this machine has %s available; choose fewer layers or channels, "
        "a shorter context or a smaller batch",
        about, human_bytes(bytes).c_str(), human_bytes(limit).c_str());
}

}  // namespace

int optimizer_moments(Optimizer optimizer) {
    switch (optimizer) {
        case Optimizer::AdamW:
        case Optimizer::Adam: return 2;
        case Optimizer::SgdMomentum:
        case Optimizer::Adagrad: return 1;
        case Optimizer::Sgd: break;
    }
    return 0;
}

Weight TrainShape::frozen_weight(size_t parameter) const {
    Weight w = frozen.all()[parameter];
    w.trained = false;
    return w;
}

ParameterLayout::ParameterLayout(const ModelConfig& config, const TrainShape& shape, size_t segment)
    : specs(model_parameters(config)) {
    for (size_t i = 0; shape.lora && i < specs.size(); ++i)
        if (shape.trains(i)) fail("adapters are trained on a frozen model, but `%s` is not frozen", specs[i].name.c_str());
    for (LoraParameter& pair : lora_parameters(config, shape.lora))
        specs.push_back(std::move(pair.a)), specs.push_back(std::move(pair.b));
    in_file = specs.size();
    for (ParameterSpec& spec : training_parameters(config, shape.objectives)) specs.push_back(std::move(spec));
    offsets.assign(specs.size(), kNowhere);
    std::vector<size_t> order;
    for (size_t i = 0; i < specs.size(); ++i)
        if (shape.trains(i)) order.push_back(i);
    const auto group = [&](size_t i) { return std::pair(!specs[i].decay, depth_below_top(specs[i].name, config)); };
    const bool by_depth = shape.layer_decay != 1;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return by_depth ? group(a) < group(b) : group(a).first < group(b).first; });
    size_t at = 0;
    for (const size_t i : order) {
        const size_t bytes = align_up(dtype_bytes(DType::F32, specs[i].shape.elements()));
        offsets[i] = fit_segment(at, bytes, segment, specs[i].name);
        at = offsets[i] + bytes;
        const auto scale = static_cast<float>(std::pow(shape.layer_decay, static_cast<double>(group(i).second)));
        if (runs.empty() || runs.back().decay != specs[i].decay || runs.back().lr_scale != scale ||
            runs.back().offset / segment != offsets[i] / segment)
            runs.push_back({offsets[i], 0, specs[i].decay, scale});
        runs.back().elements = static_cast<int64_t>((at - runs.back().offset) / 4);
    }
    total = static_cast<int64_t>(at / 4);
    if (total == 0) fail("all weights are frozen; there is nothing to train");
}

std::vector<ParameterSpec> training_parameters(const ModelConfig& config, const std::vector<Objective>& objectives) {
    ParameterList list;
    if (!objectives.empty() && objectives.front().value_weight != 0) {
        constexpr bool kBias = true;
        list.linear("value", 1, config.embd, 0, kBias);
    }
    return list.specs();
}

Weights training_weights(const ModelConfig& config, const TrainShape& shape,
                         const std::function<Weight(size_t parameter)>& place) {
    size_t i = 0;
    Weights weights = place_weights(config, [&](const ParameterSpec&) {
        const size_t parameter = i++;
        return shape.trains(parameter) ? place(parameter) : shape.frozen_weight(parameter);
    });
    for (const LoraParameter& pair : lora_parameters(config, shape.lora)) {
        Adapter adapter{place(i), place(i + 1), shape.lora.scale(), static_cast<float>(shape.lora.dropout)};
        weights.adapt(pair.parameter, std::move(adapter));
        i += 2;
    }
    if (!training_parameters(config, shape.objectives).empty()) weights.set_value_head({.w = place(i), .b = place(i + 1)});
    return weights;
}

TrainingMemory training_memory(const ModelConfig& config, const TrainShape& shape, const Backend& backend) {
    const ParameterLayout layout(config, shape);
    TrainingMemory memory;
    memory.parameters = 4.0 * static_cast<double>(layout.total) * copies(shape);
    const Weights weights = placeholder_weights(layout, config, shape);
    for (const Mode mode : {Mode::Train, Mode::Infer}) {
        Graph graph = training_graph(mode, shape);
        TrainInputs inputs;
        record_training(graph, config, weights, shape, inputs);
        memory.activations = std::max(memory.activations, static_cast<double>(arena_bytes(graph, backend)));
    }
    return memory;
}

double training_flops(const ModelConfig& config, const TrainShape& shape) {
    TrainShape once = shape;
    once.recompute = false;
    Graph graph = training_graph(Mode::Train, once);
    TrainInputs inputs;
    constexpr bool kUsualShare = true;
    record_training(graph, config, placeholder_weights(ParameterLayout(config, once), config, once), once, inputs,
                    kUsualShare);
    return graph.flops();
}

void check_sizes(const ModelConfig& config, const TrainShape& shape, double limit) {
    const auto positive = [](const char* option, int64_t value) {
        if (value < 1) fail_usage_option(option, "is %lld; it must be 1 or more", static_cast<long long>(value));
    };
    positive("layers", config.layers);
    positive("heads", config.heads);
    positive("embd", config.embd);
    positive("context", config.context);
    positive("batch", shape.batch);
    if (const double least = least_bytes(config, shape); least > limit) refuse("at least", least, limit);
    check_config(config);
}

TrainingMemory check_memory(const ModelConfig& config, const TrainShape& shape, const Backend& backend, double limit,
                            double beside) {
    check_sizes(config, shape, limit);
    TrainingMemory needed = training_memory(config, shape, backend);
    needed.activations += beside;
    if (needed.total() > limit) refuse("about", needed.total(), limit);
    return needed;
}

}  // namespace nib
