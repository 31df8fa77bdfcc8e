// One step of training on any backend: forward, backward, gradient norm, update; and evaluation with the same weights.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/plan.h"
#include "model/architecture.h"
#include "train/training_graph.h"

namespace nib {

/// Owns the weights, gradients, optimizer state and plans of a training run. Throws Error for batches of another size and
/// for tokens that the model does not have.
class TrainStep {
public:
    /// Allocates and compiles. Error when the backend lacks memory or an op. `backend` must outlive it.
    TrainStep(Backend& backend, const ModelConfig& config, const TrainShape& shape);

    /// Random weights as the model's parameters specify, from the seed alone, but for `given` ones (by parameter; empty:
    /// none), which are loaded otherwise; moments are zero. Frozen ones stay.
    void initialise(uint64_t seed, const std::vector<bool>& given = {});

    /// One micro-batch of a step. Loss and gradients are means over the counted targets of all micro-batches.
    struct MicroBatch {
        uint64_t seed = 0;       // of dropout
        uint32_t index = 0;      // number of the micro-batch in the whole training
        TargetCounts counted{};  // targets that count (are not kIgnore) in the whole step; none: this is all of it
        bool first = true;       // gradients are set, not added to
        SourceBatch source{};    // (B*T), of models with an encoder, which compute each pair up to its last target only
        RaggedRows ragged{};     // of TrainShape::ragged
        std::span<const int32_t> second{};  // targets (B*T) of the second objective, if there is one
        std::span<const float> numbers{};   // (B*N): of objectives of numbers, for each row the N of its target
        std::span<const float> weights{};   // (B): of a weighted objective, how much each row's target counts
        double weight = 0;                  // the sum of these in the whole step; 0: this is all of it
        PolicyNumbers policy{};             // of Loss::Policy
    };
    /// Forward and backward pass of B sequences: inputs and targets (B*T). Returns its part of the step's loss in nats,
    /// with label smoothing, before any update; the same for any number of threads.
    double micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const MicroBatch& micro);

    /// Global norm of the gradients. If it is above `clip`, update() scales them down to that; 0: never.
    double gradient_norm(double clip);

    struct Update {
        int64_t step = 0;  // updates before this one; for the bias correction of AdamW and Adam
        double lr = 0, weight_decay = 0;
        double beta1 = 0, beta2 = 0;  // AdamW, Adam
        double eps = 0;               // those and Adagrad
        double momentum = 0;          // Sgd
    };
    /// Applies the gradients, after gradient_norm(). Does nothing if their norm is not finite.
    void update(const Update& update);

    struct Outcome {
        double loss = 0, norm = 0;
    };
    /// micro_step(), gradient_norm() and update() at once: the host waits for the device only at the end.
    Outcome last_micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const MicroBatch& micro,
                            double clip, const Update& update);

    /// Of the last micro-batch: see LossInputs::figures().
    std::vector<Figure> figures() const;

    /// Losses of B sequences without dropout and label smoothing; rows whose target is kIgnore do not count.
    LossSum evaluate(std::span<const int32_t> ids, std::span<const int32_t> targets, const SourceBatch& source = {},
                     const RaggedRows& ragged = {});
    /// The same of each objective; `second` are the targets of the second, if there is one.
    std::array<LossSum, kMostObjectives> evaluate_all(std::span<const int32_t> ids, std::span<const int32_t> targets,
                                                      std::span<const int32_t> second, const SourceBatch& source = {},
                                                      const RaggedRows& ragged = {}, std::span<const float> numbers = {},
                                                      std::span<const float> weights = {});

    const ModelConfig& config() const { return config_; }
    const Weights& weights() const { return weights_; }
    const TrainShape& shape() const { return shape_; }
    int64_t rows() const { return shape_.batch * shape_.time; }  // B*T
    Backend& backend() const { return backend_; }

    /// Parameters in file order, and where their values are stored: part 0 is the weights, the others are the moments.
    const std::vector<ParameterSpec>& parameters() const { return layout_.specs; }
    /// Whether the file of the model or its adapters has it, unlike training_parameters().
    bool in_file(size_t parameter) const { return parameter < layout_.in_file; }
    int parts() const { return 1 + optimizer_moments(shape_.optimizer); }
    /// What weights are stored as: F32, unless frozen.
    DType type(size_t parameter) const {
        return shape_.trains(parameter) ? DType::F32 : shape_.frozen.all()[parameter].type;
    }
    /// Error when a frozen weight is asked for its moments.
    Location locate(size_t parameter, int part) const;
    /// Where the gradient is stored. Error of a frozen weight.
    Location gradient(size_t parameter) const;

private:
    struct LossPlan {
        Plan plan;
        TrainInputs inputs;
    };
    using Targets = std::array<std::span<const int32_t>, kMostObjectives>;

    void compile_plans();
    Graph norm_graph() const;
    Graph update_graph() const;
    Tensor gradient_of(Graph& g, const ParameterLayout::Run& run) const;
    std::vector<int64_t> sum_blocks() const;
    void set_inputs(LossPlan& plan, std::span<const int32_t> ids, const Targets& targets, const SourceBatch& source,
                    LossBatch batch, Step& step);
    void begin_micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const MicroBatch& micro);
    int64_t count(size_t objective, std::span<const int32_t> targets) const;
    double weight(size_t objective, std::span<const int32_t> targets, std::span<const float> weights) const;
    double mean_loss();
    double norm() const;
    void set_update(const Update& update);

    Backend& backend_;
    const ModelConfig config_;
    const TrainShape shape_;
    const ParameterLayout layout_;
    const std::vector<int64_t> first_block_;     // by run: where its partial sums of squares begin; last: their number
    std::vector<std::unique_ptr<Arena>> parts_;  // weights, moments; layout_.total floats each
    Arena gradients_;                            // layout_.total floats
    Arena partials_;                             // sums of squares, double
    Arena stats_;                                // (2) gradient norm, clip factor
    Weights weights_;
    LossPlan train_, evaluate_;
    Plan norm_, update_;
    std::vector<int32_t> positions_;                 // (B*T)
    Step step_;                                      // of the last micro_step
    std::array<double, kMostObjectives> counted_{};  // LossSum::weight of its whole step
};

}  // namespace nib
