#include "task/labelled_task.h"

namespace nib {

LabelledTask::LabelledTask(const TaskTexts& texts, const char* unit)
    : texts_(texts),
      train_(texts.train, texts.train_span),
      validation_(texts.validation, texts.validation_span),
      validated_(texts, unit, train_.count(), validation_.count()),
      unit_(unit) {}

size_t LabelledTask::head_row(const TaskRow& row) const {
    return texts_.labelled_rows == HeadRows::Last ? static_cast<size_t>(row.length) - 1 : 0;
}

}  // namespace nib
