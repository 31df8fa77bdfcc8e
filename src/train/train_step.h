// One step of training on any backend: forward, backward, gradient norm, update; and evaluation with the same weights.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/plan.h"
#include "model/gpt.h"
#include "train/memory.h"

namespace nib {

/// Owns the weights, gradients, optimizer state and plans of a training run.
///
/// With TrainShape::low_memory, gradients are not kept: each is used as soon as it is complete and its memory is then free
/// for the next. Since clipping needs the norm of all gradients before the first update, the step runs forward and backward
/// twice, first for the norm, then for the update. The results are the same, but for the order in which the norm is summed.
class TrainStep {
public:
    /// Allocates and compiles. Error when the backend lacks memory or an op. `backend` must outlive it.
    TrainStep(Backend& backend, const GptConfig& config, const TrainShape& shape);

    /// Random weights (GPT-2's initialisation) from the seed alone, moments zero.
    void initialise(uint64_t seed);

    /// Which of the step's micro-batches a call is.
    struct Micro {
        uint64_t seed = 0;   // of dropout
        uint32_t index = 0;  // number of the micro-batch over the whole training
        int64_t of = 1;      // micro-batches of this step; gradients are those of their mean
        bool first = true;   // gradients are set, not added to
    };
    /// Forward and backward of B sequences: inputs and targets (B*T). Returns the mean loss in nats, before any update; the
    /// same for any number of threads.
    double micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const Micro& micro);

    /// Global norm of the gradients; decides what update() clips. 0: no clipping.
    double gradient_norm(double clip);

    struct Update {
        int64_t step = 0;  // updates before this one; for AdamW's bias correction
        double lr = 0, weight_decay = 0;
        double beta1 = 0, beta2 = 0, eps = 0;  // AdamW
        double momentum = 0;                   // Sgd
    };
    /// Applies the gradients; after gradient_norm(). Changes nothing if their norm is not finite.
    void update(const Update& update);

    struct Outcome {
        double loss = 0, norm = 0;
    };
    /// micro_step(), gradient_norm() and update() at once: the host waits for the device only at the end.
    Outcome last_micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const Micro& micro, double clip,
                            const Update& update);

    struct LossSum {
        double sum = 0;    // nats
        int64_t rows = 0;  // counted targets
    };
    /// Losses of B sequences without dropout; rows whose target is kIgnore do not count.
    LossSum evaluate(std::span<const int32_t> ids, std::span<const int32_t> targets);

    const GptConfig& config() const { return config_; }
    const GptWeights& weights() const { return weights_; }
    const TrainShape& shape() const { return shape_; }
    int64_t rows() const { return shape_.batch * shape_.time; }  // B*T
    Backend& backend() const { return backend_; }

    /// Parameters in file order and where their values lie: `part` 0 the weights, then the optimizer's moments.
    const std::vector<ParameterSpec>& parameters() const { return layout_.specs; }
    int parts() const { return 1 + optimizer_moments(shape_.optimizer); }
    Location locate(size_t parameter, int part) const;
    /// Where its gradient is kept; nowhere (buffer -1) with low_memory.
    Location gradient(size_t parameter) const;

private:
    // A graph and what to compile it to.
    struct Recorded {
        Graph graph;
        TrainInputs inputs;
        Graph::Loss loss;
    };
    struct LossPlan {
        Plan plan;
        TrainInputs inputs;  // none for a plan without forward pass
        Graph::Loss loss;
    };

    Recorded record(Mode mode, const std::function<void(Graph&, size_t parameter, Tensor gradient)>& use);
    void compile_plans();
    void add_sum_squares(Graph& g, size_t run, Tensor gradient) const;
    void add_update(Graph& g, size_t run, Tensor gradient) const;
    std::vector<int64_t> sum_blocks() const;
    void set_inputs(const LossPlan& plan, std::span<const int32_t> ids, std::span<const int32_t> targets) const;
    void begin_micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const Micro& micro);
    double loss_sum(const LossPlan& plan);
    double norm() const;
    void put(const Update& update);

    Backend& backend_;
    const GptConfig config_;
    const TrainShape shape_;
    const ParameterLayout layout_;
    const std::vector<ParameterLayout::Run> runs_;  // whose gradients are used at once; with low_memory, by parameter
    const std::vector<int64_t> first_block_;        // by run: where its partial sums of squares begin; last: their number
    std::vector<std::unique_ptr<Arena>> parts_;     // weights, moments; layout_.total floats each
    std::unique_ptr<Arena> gradients_;              // layout_.total floats; null with low_memory
    Arena partials_;                                // sums of squares, double
    Arena stats_;                                   // (2) gradient norm, clip factor
    GptWeights weights_;
    LossPlan train_, update_, evaluate_;
    Plan norm_;
    std::vector<int32_t> positions_;      // (B*T)
    std::vector<int32_t> ids_, targets_;  // (B*T) of the last micro_step, for low_memory's second pass
    Step step_;                           // of the last micro_step
    std::vector<float> losses_;           // (B*T)
};

}  // namespace nib
