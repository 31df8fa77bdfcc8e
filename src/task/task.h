// What a training trains on: the rows of tokens of each step, and what a head is to make of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/op.h"  // kIgnore
#include "task/windows.h"

namespace nib {

/// The texts of a training, which outlive the task.
struct TaskTexts {
    const Corpus &train, &validation;
    Span train_span, validation_span;  // the latter may be empty
    const CharTokenizer& tokenizer;
    int64_t context = 0;            // T, tokens of a row
    int64_t validation_tokens = 0;  // about as many are predicted in a validation; 0: all
    uint64_t seed = 0;
};

/// Rows are chosen by seed, step and row alone: there is nothing to save, and accumulating 2 batches of B rows sees those
/// of one batch of 2 B.
class Task {
public:
    virtual ~Task() = default;

    /// The name of the head whose targets these are (Model::head).
    virtual const char* head() const = 0;
    /// Fills in the tokens (T) of a row, counted over all micro-batches of a step, and their targets, kIgnore where there
    /// is none.
    virtual void fill(uint32_t step, uint32_t row, std::span<int32_t> ids, std::span<int32_t> targets) const = 0;
    /// How many of that row's targets count.
    virtual int64_t counted(uint32_t step, uint32_t row) const = 0;

    /// The same for the rows of a validation.
    virtual int64_t validation_rows() const = 0;
    virtual void fill_validation(int64_t row, std::span<int32_t> ids, std::span<int32_t> targets) const = 0;
};

/// The names of tasks.
inline constexpr const char *kLanguageModel = "lm", *kMaskedTokens = "mlm";
/// The last token of a vocabulary of characters stands for masked ones.
inline constexpr const char* kMaskToken = "[MASK]";
/// How many tokens become targets of masked training.
inline constexpr double kMaskedShare = 0.15;

/// Error when there is no such task, or the vocabulary lacks the mask.
std::unique_ptr<Task> make_task(const std::string& name, const TaskTexts& texts);

/// What masked training makes of a row (Devlin et al. 2018): each token is chosen with probability 15 %; of those chosen,
/// which are the targets, 80 % become the mask, 10 % any of the first `tokens` ids and 10 % stay.
///
///     tokens     t h e   f o x   a t e   t h e   c r o w
///     ids        t h # _ f o x _ a k e _ t h e _ c # o w
///     targets    . . e . . . . . . t . . . . e . . r . .
void mask_tokens(uint64_t seed, uint32_t step, uint32_t row, int32_t mask, int32_t tokens, std::span<int32_t> ids,
                 std::span<int32_t> targets);
/// How many tokens of a row of `tokens` that chooses.
int64_t count_masked(uint64_t seed, uint32_t step, uint32_t row, int64_t tokens);

// Made by make_task.
std::unique_ptr<Task> make_language_model_task(const TaskTexts& texts);
std::unique_ptr<Task> make_masked_tokens_task(const TaskTexts& texts);

}  // namespace nib
