// What a training's files hold, read as its task asks for, and what that says of the model: its heads, its template.
#pragma once

#include "train/dataset.h"
#include "train/prepare.h"

namespace nib {

/// Texts that are no characters. Heads that name what they hold, and the template that dialogues are written by, become the
/// model's. Error for files that are not what the task trains on.
Dataset tokens_of(TrainSetup& setup, const TrainRequest& request, const DatasetOptions& options);

/// The files of a training's pairs.
PairFiles training_pairs(const TrainRequest& request, const TrainOptions& options);
/// Those that validate: none, where a part of the others does. Lines of two files have no columns.
PairFiles validation_pairs(const TrainRequest& request, const TrainOptions& options);

}  // namespace nib
