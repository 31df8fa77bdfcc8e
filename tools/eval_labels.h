// nib eval of models that name the labels of texts.
#pragma once

#include <string>
#include <vector>

#include "core/backend.h"
#include "model/loaded_model.h"
#include "task/labelled_file.h"

namespace nib {

/// Prints how often a model with a head `class` gives the texts of files their labels, or one with a head `tag` words
/// their tags.
void eval_labels(const std::vector<std::string>& paths, const LabelColumns& columns, bool skip_bad, bool json,
                 Backend& backend, const LoadedModel& model);

}  // namespace nib
