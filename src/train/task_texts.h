// What a prepared run hands to its task.
#pragma once

#include <cstdint>

#include "task/task.h"
#include "train/prepare.h"

namespace nib {

/// The setup must outlive it. UsageError for a token that ends what a policy writes, but is none.
TaskTexts texts_of(const TrainSetup& setup);

/// How many numbers its first objective takes for each row.
int64_t numbers_of(const TrainSetup& setup);

}  // namespace nib
