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
    /// Applies the gradients; after gradient_norm().
    void update(const Update& update);

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
    Location gradient(size_t parameter) const { return {gradients_.id(), layout_.offsets[parameter]}; }

private:
    // A buffer of the backend, given back at the end.
    class Buffer {
    public:
        Buffer(Backend& backend, size_t bytes) : backend_(backend), id_(backend.allocate(bytes)) {}
        ~Buffer() { backend_.release(id_); }
        Buffer(const Buffer&) = delete;
        Buffer& operator=(const Buffer&) = delete;
        int id() const { return id_; }

    private:
        Backend& backend_;
        const int id_;
    };
    struct LossPlan {
        Plan plan;
        TrainInputs inputs;
        Graph::Loss loss;
    };

    LossPlan compile_loss(Mode mode);
    Plan compile_norm();
    Plan compile_update();
    double run(const LossPlan& plan, std::span<const int32_t> ids, std::span<const int32_t> targets, const Step& step);

    Backend& backend_;
    const GptConfig config_;
    const TrainShape shape_;
    const ParameterLayout layout_;
    std::vector<std::unique_ptr<Buffer>> parts_;  // weights, moments; layout_.total floats each
    Buffer gradients_;                            // layout_.total floats
    Buffer stats_;                                // (2) gradient norm, clip factor
    GptWeights weights_;
    LossPlan train_, evaluate_;
    Plan norm_, update_;
    std::vector<float> losses_;  // (B*T)
};

}  // namespace nib
