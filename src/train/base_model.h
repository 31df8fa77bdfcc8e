// Training that starts from a model: its weights, and which of them stay as they are.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/loaded_model.h"
#include "train/options.h"
#include "train/train_step.h"

namespace nib {

/// Which parameters, in file order, `parts` names: "embeddings,0-3" are the embeddings and the first four blocks;
/// "encoder" and "decoder" the blocks of one side. Empty: none. UsageError for anything else, and where a model has no
/// such part.
std::vector<bool> frozen_parameters(const std::string& parts, const ModelConfig& config);

/// The same for the options of a training: all of them where adapters are trained.
std::vector<bool> frozen_parameters(const TrainOptions& options, const ModelConfig& config);

/// TrainShape::frozen: those of a model's weights that are frozen, by the parameters of what is trained, which may have
/// other heads. Error for one that the model does not have.
Weights frozen_weights(std::span<const ParameterSpec> parameters, const std::vector<bool>& frozen, const Weights& weights);

/// Loads what is trained from a model's file; what that does not have begins as in TrainStep::initialise(), and rows of new
/// tokens as the mean of the others, which takes little probability from those (Hewitt 2021). Error for quantized
/// weights, which only frozen ones may be. Heads whose labels are others than the file's begin anew.
void load_weights(const GgufFile& file, uint64_t seed, TrainStep& train);

}  // namespace nib
