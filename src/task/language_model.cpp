// The next character of a text, after those before it.
#include <algorithm>
#include <optional>

#include "task/task.h"

namespace nib {
namespace {

class LanguageModelTask : public Task {
public:
    explicit LanguageModelTask(const TaskTexts& texts) : texts_(texts) {
        if (texts.validation_span.size() > 0)
            windows_.emplace(texts.validation_span, texts.context, texts.validation_tokens);
    }

    TaskExtent extent() const override { return texts_.characters(); }

    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        const int64_t start = window_start(texts_.seed, step, row, texts_.train_span, texts_.context);
        read_window(texts_.train, texts_.tokenizer, start, to.ids, to.targets);
    }
    int64_t counted(uint32_t, uint32_t) const override { return texts_.context; }

    int64_t validation_rows() const override { return windows_ ? windows_->count() : 0; }

    void fill_validation(int64_t row, TaskRow& to) const override {
        const auto length = static_cast<size_t>(windows_->length(row));
        read_window(texts_.validation, texts_.tokenizer, windows_->start(row), to.ids.first(length),
                    to.targets.first(length));
        std::fill(to.ids.begin() + static_cast<std::ptrdiff_t>(length), to.ids.end(), 0);
        std::fill(to.targets.begin() + static_cast<std::ptrdiff_t>(length), to.targets.end(), kIgnore);
    }

private:
    const TaskTexts texts_;
    std::optional<EvalWindows> windows_;
};

}  // namespace

std::unique_ptr<Task> make_language_model_task(const TaskTexts& texts) {
    return std::make_unique<LanguageModelTask>(texts);
}

}  // namespace nib
