// What a training trains on: the rows of tokens of each step, and what a head is to make of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/op.h"  // kIgnore
#include "task/windows.h"
#include "text/tokenizer.h"

namespace nib {

/// How much there is to train on and to validate with: "character", "token" or "pair", and how many of them.
struct TaskExtent {
    const char* unit;
    int64_t train, validation;
};

/// The texts of a training, which outlive the task.
struct TaskTexts {
    const TokenText &train, &validation;
    Span train_span, validation_span;  // the latter may be empty
    const Tokenizer& tokenizer;
    int64_t context = 0;            // T, tokens of a row
    int64_t validation_tokens = 0;  // about as many are predicted in a validation; 0: all
    uint64_t seed = 0;
    int64_t rows = 1;      // of a step, all micro-batches together
    bool isolate = false;  // tokens do not see those of other documents in their row

    TaskExtent extent() const { return {train.unit(), train_span.size(), validation_span.size()}; }
};

/// A row to fill in, of T tokens.
struct TaskRow {
    std::span<int32_t> ids, targets;  // targets are kIgnore where there is none
    std::span<int32_t> source{};      // of models with an encoder: what that reads, then anything
    int32_t source_length = 0;        // how many of `source` it reads
    /// Of ragged tasks: where each token stands in its document, of which a row may have several that do not see each
    /// other, and how many of the T tokens there are. They come as 0, 1, ..., T - 1, and as T.
    std::span<int32_t> positions{};
    int32_t length = 0;
};

/// Rows are chosen by seed, step and row alone: there is nothing to save, and accumulating 2 batches of B rows sees those
/// of one batch of 2 B.
class Task {
public:
    virtual ~Task() = default;

    virtual TaskExtent extent() const = 0;
    /// Fills in a row, counted over all micro-batches of a step.
    virtual void fill(uint32_t step, uint32_t row, TaskRow& to) const = 0;
    /// How many of that row's targets count.
    virtual int64_t counted(uint32_t step, uint32_t row) const = 0;

    /// Whether rows may have more than one document, or be shorter than T. Of models with an encoder they always may.
    virtual bool ragged() const { return false; }
    /// The same for the rows of a validation.
    virtual int64_t validation_rows() const = 0;
    virtual void fill_validation(int64_t row, TaskRow& to) const = 0;
};

/// The names of tasks.
inline constexpr const char *kLanguageModel = "lm", *kMaskedTokens = "mlm", *kPairs = "pairs", *kDialogues = "dialogue";
/// The token that a vocabulary of characters gets for masked ones.
inline constexpr const char* kMaskToken = "[MASK]";
/// How many tokens become targets of masked training.
inline constexpr double kMaskedShare = 0.15;

/// Error when there is no such task, the vocabulary lacks what it needs, or the texts are not what it trains on.
std::unique_ptr<Task> make_task(const std::string& name, const TaskTexts& texts);
/// The name of the head (Model::head) whose targets those of a task are. Error when there is no such task.
const char* task_head(const std::string& name);

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
std::unique_ptr<Task> make_pairs_task(const TaskTexts& texts);
std::unique_ptr<Task> make_dialogues_task(const TaskTexts& texts);

}  // namespace nib
