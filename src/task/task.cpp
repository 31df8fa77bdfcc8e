#include "task/task.h"

#include "core/error.h"

namespace nib {

std::unique_ptr<Task> make_task(const std::string& name, const TaskTexts& texts) {
    if (name == kLanguageModel) return make_language_model_task(texts);
    if (name == kMaskedTokens) return make_masked_tokens_task(texts);
    fail("there is no task `%s`; nib knows %s and %s", printable(name, 40).c_str(), kLanguageModel, kMaskedTokens);
}

}  // namespace nib
