// nib eval of models that name the labels of texts.
#pragma once

#include <string>
#include <vector>

#include "core/backend.h"
#include "model/loaded_model.h"
#include "task/labelled_file.h"
#include "task/metrics/confusion_matrix.h"
#include "task/task.h"

namespace nib {

/// Prints scores of so many units ("text"), so many each second.
void print_scores(const std::vector<Score>& scores, int64_t count, double per_second, const char* unit, bool json);

/// Prints how texts were sorted into classes, so many each second.
void print_classes(const ConfusionMatrix& matrix, const std::vector<std::string>& labels, double texts_per_second,
                   bool json);

/// Prints how often a model with a head `class` gives the texts of files their labels, or one with a head `tag` words
/// their tags.
void eval_labels(const std::vector<std::string>& paths, const LabelColumns& columns, bool skip_bad, bool json,
                 Backend& backend, const LoadedModel& model);

}  // namespace nib
