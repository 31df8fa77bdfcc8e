#include "task/labelled_task.h"

#include <algorithm>

namespace nib {

LabelledTask::LabelledTask(const TaskTexts& texts, const char* unit)
    : texts_(texts),
      train_(texts.train, texts.train_span),
      validation_(texts.validation, texts.validation_span),
      validated_(texts, unit, train_.count(), validation_.count()),
      unit_(unit) {}

void LabelledTask::read_text(const LabelledPart& part, int64_t i, TaskRow& to) const {
    part.read(i, to);
    if (!to.second.empty()) std::copy_n(to.ids.begin() + 1, to.length - 1, to.second.begin());
}

int64_t LabelledTask::next_tokens(const LabelledPart& part, int64_t i) const {
    return texts_.choices.lm_weight > 0 ? part.tokens(i) - 1 : 0;
}

size_t LabelledTask::head_row(const TaskRow& row) const {
    return texts_.labelled_rows == HeadRows::Last ? static_cast<size_t>(row.length) - 1 : 0;
}

}  // namespace nib
