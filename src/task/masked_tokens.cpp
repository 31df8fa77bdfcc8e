// Masked tokens, after those around them (Devlin et al. 2018).
#include <algorithm>
#include <optional>

#include "core/error.h"
#include "task/masked_rows.h"
#include "task/task.h"

namespace nib {
namespace {

class MaskedTokensTask : public Task {
public:
    explicit MaskedTokensTask(const TaskTexts& texts)
        : texts_(texts), masked_(texts.seed, texts.tokenizer, texts.choices.whole_words) {
        if (texts.validation_span.size() > 0)
            windows_.emplace(texts.validation_span, texts.context, texts.validation_tokens);
    }

    TaskExtent extent() const override { return texts_.extent(); }

    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        texts_.train.read(start_of(step, row), to.ids);
        masked_.mask(step, row, to.ids, to.targets);
    }
    TargetCounts counted(uint32_t step, uint32_t row) const override {
        std::vector<int32_t> ids(static_cast<size_t>(texts_.context));
        texts_.train.read(start_of(step, row), ids);
        return {masked_.count(step, row, ids)};
    }

    int64_t validation_rows() const override { return windows_ ? windows_->count() : 0; }

    // Always whole windows: what fills up a shorter one would be seen, too.
    void fill_validation(int64_t row, TaskRow& to) const override {
        const int64_t start = std::min(windows_->start(row), texts_.validation_span.end - texts_.context);
        texts_.validation.read(start, to.ids);
        masked_.mask(kValidationStep, static_cast<uint32_t>(row), to.ids, to.targets);
    }

private:
    int64_t start_of(uint32_t step, uint32_t row) const {
        return window_start(texts_.seed, step, row, texts_.train_span, texts_.context);
    }

    const TaskTexts texts_;
    const MaskedRows masked_;
    std::optional<EvalWindows> windows_;
};

}  // namespace

std::unique_ptr<Task> make_masked_tokens_task(const TaskTexts& texts) {
    if (texts.choices.next_sentence) return make_sentence_pairs_task(texts);
    return std::make_unique<MaskedTokensTask>(texts);
}

}  // namespace nib
