// The next token of a text, after those before it.
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

    TaskExtent extent() const override { return texts_.extent(); }
    bool ragged() const override { return texts_.isolate; }

    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        const int64_t start = start_of(step, row);
        read_window(texts_.train, start, to.ids, to.targets);
        if (texts_.isolate) isolate_documents(texts_.train, start, to.targets, to.positions);
    }
    TargetCounts counted(uint32_t step, uint32_t row) const override {
        if (!texts_.isolate) return {texts_.context};
        const int64_t start = start_of(step, row), end = start + texts_.context;
        const int64_t last = texts_.train.document_of(end - 1);
        const int64_t cut = texts_.train.document(last).end == end ? 1 : 0;  // the last document ends with the window
        return {texts_.context - cut - (last - texts_.train.document_of(start))};
    }

    int64_t validation_rows() const override { return windows_ ? windows_->count() : 0; }

    void fill_validation(int64_t row, TaskRow& to) const override {
        const auto length = static_cast<size_t>(windows_->length(row));
        const auto targets = to.targets.first(length);
        read_window(texts_.validation, windows_->start(row), to.ids.first(length), targets);
        if (texts_.isolate) isolate_documents(texts_.validation, windows_->start(row), targets, to.positions.first(length));
        std::fill(to.ids.begin() + static_cast<std::ptrdiff_t>(length), to.ids.end(), 0);
        to.length = static_cast<int32_t>(length);
        std::fill(to.targets.begin() + static_cast<std::ptrdiff_t>(length), to.targets.end(), kIgnore);
    }

private:
    int64_t start_of(uint32_t step, uint32_t row) const {
        return window_start(texts_.seed, step, row, texts_.train_span, texts_.context);
    }

    const TaskTexts texts_;
    std::optional<EvalWindows> windows_;
};

}  // namespace

std::unique_ptr<Task> make_language_model_task(const TaskTexts& texts) {
    return std::make_unique<LanguageModelTask>(texts);
}

}  // namespace nib
