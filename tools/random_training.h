// Training on random tokens, of any size: what `nib bench` times and `nib selftest` checks.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "train/options.h"
#include "train/train_step.h"

namespace nib {

struct TrainingSizes {
    TrainOptions options;
    int64_t vocab = 65;
    std::string activations = "f32";
};

/// Declares --preset, --layers and so on, with the values in `sizes` as defaults. They need the flag `train`.
void add_training_sizes(CLI::App& app, TrainingSizes& sizes, CLI::Option* train);

class RandomTraining {
public:
    /// Error when the sizes make no sense or need more memory than there is.
    RandomTraining(Backend& backend, const TrainingSizes& sizes);
    /// Random weights.
    void initialise() { train_.initialise(1); }
    /// Draws the next batch.
    void draw();
    /// Forward, backward, clipping and AdamW. Returns the loss.
    double step();
    /// Loss without dropout.
    double evaluate();

    const ModelConfig& config() const { return train_.config(); }
    const Weights& weights() const { return train_.weights(); }
    const TrainShape& shape() const { return train_.shape(); }
    int64_t rows() const { return train_.rows(); }

private:
    SourceBatch source() const { return {source_, source_lengths_}; }

    TrainStep train_;
    const double clip_;
    uint32_t batches_ = 0;
    std::vector<int32_t> ids_, targets_;            // (B*T)
    std::vector<int32_t> source_, source_lengths_;  // (B*T), (B), of models with an encoder
};

}  // namespace nib
