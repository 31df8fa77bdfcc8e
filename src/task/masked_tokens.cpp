// Masked tokens, after those around them (Devlin et al. 2018).
#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/philox.h"
#include "task/task.h"

namespace nib {
namespace {

constexpr uint32_t kValidationStep = 0xFFFFFFFF;  // no training has so many
constexpr double kMasked = 0.8, kReplaced = 0.1;

uint32_t threshold(double probability) { return static_cast<uint32_t>(probability * 0x1p32); }

// What decides over token t of a row: whether it is chosen, what becomes of it, which token takes its place.
std::array<uint32_t, 4> words_of(uint64_t seed, uint32_t step, uint32_t row, size_t t) {
    return philox({static_cast<uint32_t>(t), row, kMaskStream, step}, seed);
}

class MaskedTokensTask : public Task {
public:
    explicit MaskedTokensTask(const TaskTexts& texts) : texts_(texts) {
        mask_ = texts.tokenizer.mask_token();
        const int32_t size = texts.tokenizer.vocab_size();
        replacements_ = mask_ == size - 1 ? mask_ : size;
        if (mask_ < 0) fail("the vocabulary has no token for masked ones, such as %s", kMaskToken);
        if (texts.validation_span.size() > 0)
            windows_.emplace(texts.validation_span, texts.context, texts.validation_tokens);
    }

    TaskExtent extent() const override { return texts_.extent(); }

    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        const int64_t start = window_start(texts_.seed, step, row, texts_.train_span, texts_.context);
        texts_.train.read(start, to.ids);
        mask(step, row, to);
    }
    int64_t counted(uint32_t step, uint32_t row) const override {
        return count_masked(texts_.seed, step, row, texts_.context);
    }

    int64_t validation_rows() const override { return windows_ ? windows_->count() : 0; }

    // Always whole windows: what fills up a shorter one would be seen, too.
    void fill_validation(int64_t row, TaskRow& to) const override {
        const int64_t start = std::min(windows_->start(row), texts_.validation_span.end - texts_.context);
        texts_.validation.read(start, to.ids);
        mask(kValidationStep, static_cast<uint32_t>(row), to);
    }

private:
    void mask(uint32_t step, uint32_t row, TaskRow& to) const {
        mask_tokens(texts_.seed, step, row, mask_, replacements_, to.ids, to.targets);
    }

    const TaskTexts texts_;
    int32_t mask_ = -1, replacements_ = 0;  // a token becomes any of so many, without a mask after them
    std::optional<EvalWindows> windows_;
};

}  // namespace

void mask_tokens(uint64_t seed, uint32_t step, uint32_t row, int32_t mask, int32_t tokens, std::span<int32_t> ids,
                 std::span<int32_t> targets) {
    if (ids.size() != targets.size()) fail("there are %zu tokens, but %zu targets", ids.size(), targets.size());
    for (size_t t = 0; t < ids.size(); ++t) {
        const auto words = words_of(seed, step, row, t);
        targets[t] = words[0] < threshold(kMaskedShare) ? ids[t] : kIgnore;
        if (targets[t] == kIgnore) continue;
        if (words[1] < threshold(kMasked))
            ids[t] = mask;
        else if (words[1] < threshold(kMasked + kReplaced))
            ids[t] = static_cast<int32_t>(uint64_t{words[2]} * static_cast<uint64_t>(tokens) >> 32);
    }
}

int64_t count_masked(uint64_t seed, uint32_t step, uint32_t row, int64_t tokens) {
    int64_t count = 0;
    for (size_t t = 0; t < static_cast<size_t>(tokens); ++t)
        count += words_of(seed, step, row, t)[0] < threshold(kMaskedShare);
    return count;
}

std::unique_ptr<Task> make_masked_tokens_task(const TaskTexts& texts) { return std::make_unique<MaskedTokensTask>(texts); }

}  // namespace nib
