// How much memory a training run needs, before anything is allocated.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/backend.h"
#include "model/adapter.h"
#include "model/architecture.h"
#include "task/objective.h"

namespace nib {

/// Each is what torch.optim calls so. All but AdamW add weight decay to the gradient.
enum class Optimizer { AdamW, Adam, Sgd, SgdMomentum, Adagrad };

/// How many moments an optimizer keeps for each parameter: AdamW and Adam 2, Sgd 0, the others 1.
int optimizer_moments(Optimizer optimizer);

/// Sizes and options that the plans of a training run are compiled for.
struct TrainShape {
    int64_t batch = 0;  // B, sequences in a micro-batch
    int64_t time = 0;   // T; sources, of models with an encoder, are no longer
    float dropout = 0;
    Optimizer optimizer = Optimizer::AdamW;
    bool recompute = false;          // each block's forward pass runs again in the backward pass: Graph::record_backward
    DType activations = DType::F32;  // F16: see Graph; evaluation keeps floats
    bool ragged = false;             // rows are as RaggedRows says; of models with an encoder they always are
    float label_smoothing = 0;       // of the training loss: Graph::cross_entropy
    double layer_decay = 1;          // ParameterLayout::Run::lr_scale
    std::vector<Objective> objectives{{}};  // 1 to kMostObjectives; of models with an encoder 1, of all tokens
    /// Weights that stay as they are: of any type, wherever they lie, and without gradients and moments. By parameter,
    /// those to be trained absent; empty: all are trained.
    Weights frozen{};
    LoraConfig lora{};  // adapters, which are trained instead of the model: all of it is frozen then

    bool trains(size_t parameter) const { return parameter >= frozen.all().size() || !frozen.all()[parameter]; }
    /// A frozen parameter for a graph.
    Weight frozen_weight(size_t parameter) const;
};

/// Where each trained parameter is in the flat buffers of weights, gradients and moments: at a multiple of 64 bytes, gaps
/// are zero. Those with weight decay come first, then the others, and in each the ones with one learning rate together, so
/// that one update covers many of them.
struct ParameterLayout {
    /// Adjacent parameters in one segment that have the same update, with the gaps between them.
    struct Run {
        size_t offset = 0;     // bytes
        int64_t elements = 0;  // floats
        bool decay = false;
        /// Of the learning rate: TrainShape::layer_decay for each block above the parameter's own, and once more, so that
        /// what comes after all blocks has 1 and embeddings have least (Clark et al. 2020, ELECTRA).
        float lr_scale = 1;
    };
    std::vector<ParameterSpec> specs;  // in file order; adapters follow the model, and then training_parameters()
    size_t in_file = 0;                // how many of them the file of the model or its adapters has
    std::vector<size_t> offsets;       // bytes, by parameter; kNowhere: it is frozen
    std::vector<Run> runs;
    int64_t total = 0;  // floats, gaps included
    static constexpr size_t kNowhere = SIZE_MAX;
    /// segment: see Backend::segment(). Error when nothing is trained, or adapters together with the model.
    ParameterLayout(const ModelConfig& config, const TrainShape& shape, size_t segment = SIZE_MAX);
};

/// What is trained beside a model or its adapters, and kept with the state of the training alone: the value function of a
/// policy, "value.weight" (1,C) and "value.bias" (1), which begins as 0.
std::vector<ParameterSpec> training_parameters(const ModelConfig& config, const std::vector<Objective>& objectives);

/// The weights for a graph: frozen ones where they are, each other parameter as `place` says.
Weights training_weights(const ModelConfig& config, const TrainShape& shape,
                         const std::function<Weight(size_t parameter)>& place);

/// Bytes on a backend, without the scratch memory of kernels and frozen weights.
struct TrainingMemory {
    double parameters = 0;   // weights, gradients, moments
    double activations = 0;  // the arena that training and evaluation share
    double total() const { return parameters + activations; }
};
TrainingMemory training_memory(const ModelConfig& config, const TrainShape& shape, const Backend& backend);

/// Floating-point operations of the matrix products of one micro-batch, forward and backward, without what recomputation
/// repeats.
double training_flops(const ModelConfig& config, const TrainShape& shape);

/// Error when a size is zero or absurd, or the heads do not divide the channels. Always fast. `limit` is in bytes.
void check_sizes(const ModelConfig& config, const TrainShape& shape, double limit);

/// The same, and Error when training and `beside` bytes need more memory than `limit` bytes; the message says how much.
/// Returns what it needs.
TrainingMemory check_memory(const ModelConfig& config, const TrainShape& shape, const Backend& backend, double limit,
                            double beside = 0);

}  // namespace nib
