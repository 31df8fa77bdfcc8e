// The graph of a training: a model, the losses of its objectives, and the backward pass.
#pragma once

#include <memory>
#include <vector>

#include "model/pair_inputs.h"
#include "train/loss_inputs.h"
#include "train/memory.h"

namespace nib {

/// Graph inputs of training and evaluation.
struct TrainInputs {
    TokenInputs tokens;                               // of models without an encoder
    PackedInputs packed;                              // of the same with ragged rows
    PairInputs pairs;                                 // of models with an encoder
    std::vector<std::unique_ptr<LossInputs>> losses;  // by objective
};

/// A graph for record_training().
Graph training_graph(Mode mode, const TrainShape& shape);

/// Records the model and the losses of its objectives; in Mode::Train also the backward pass. `usual_share`: see
/// LossSource.
void record_training(Graph& graph, const ModelConfig& config, const Weights& weights, const TrainShape& shape,
                     TrainInputs& inputs, bool usual_share = false);

}  // namespace nib
