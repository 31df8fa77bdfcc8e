// What a training trains on: the rows of tokens of each step, and what a head is to make of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/op.h"  // kIgnore
#include "model/model.h"
#include "task/objective.h"
#include "task/windows.h"
#include "text/tokenizer.h"

namespace nib {

/// How much there is to train on and to validate with: "character", "token" or "pair", and how many of them.
struct TaskExtent {
    const char* unit;
    int64_t train, validation;
};

/// What is left open in some tasks.
struct TaskChoices {
    bool next_sentence = false;  // of masked tokens: rows are two texts, of which the second follows the first or does not
    bool whole_words = false;    // of the same: all tokens of a word are chosen, or none
    double temperature = 0.05;   // of embeddings: Objective::temperature
    double lm_weight = 0;        // of labels: that of the loss of the next tokens, which is learned beside them unless 0
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
    TaskChoices choices{};
    int32_t start = 0;                         // of models with an encoder: the token that the decoder reads first
    HeadRows labelled_rows = HeadRows::First;  // of texts with labels: where the head is that names them
    std::string metric{};                      // the score that decides; empty: the task's first

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
    std::span<int32_t> segments{};  // of each token, where the model has them; they come as 0
    std::span<int32_t> second{};    // targets of the second objective, if there is one; they come as kIgnore
    std::span<float> numbers{};     // what a head of numbers is to say where the row's target is, which is then 0
};

/// How well a task is done.
struct Score {
    std::string name;  // "accuracy"
    double value;
};

/// What the predictions of a validation are worth.
class Judge {
public:
    virtual ~Judge() = default;
    /// What was predicted for the targets of a row of the validation.
    struct Predicted {
        std::array<std::span<const int32_t>, kMostObjectives> labels{};  // in their order; by objective
        std::span<const float> numbers{};                                // of a head of numbers; the cosine of embeddings
    };
    virtual void add(int64_t row, const Predicted& predicted) = 0;
    virtual std::vector<Score> scores() const = 0;
    /// Whether the first one, of which more is better, decides which model is the best; else the loss does.
    virtual bool decides() const { return true; }
};

/// Rows are chosen by seed, step and row alone: there is nothing to save, and accumulating 2 batches of B rows sees those
/// of one batch of 2 B.
class Task {
public:
    virtual ~Task() = default;

    virtual TaskExtent extent() const = 0;
    /// Fills in a row, counted over all micro-batches of a step.
    virtual void fill(uint32_t step, uint32_t row, TaskRow& to) const = 0;
    /// How many of that row's targets count, of each objective.
    virtual TargetCounts counted(uint32_t step, uint32_t row) const = 0;

    /// Whether rows may have more than one document, or be shorter than T. Of models with an encoder they always may.
    virtual bool ragged() const { return false; }
    /// The same for the rows of a validation.
    virtual int64_t validation_rows() const = 0;
    virtual void fill_validation(int64_t row, TaskRow& to) const = 0;
    /// Of a task that is judged by more than its loss.
    virtual std::unique_ptr<Judge> judge() const { return nullptr; }
};

/// The names of tasks.
inline constexpr const char *kLanguageModel = "lm", *kMaskedTokens = "mlm", *kTranslate = "translate",
                            *kDialogues = "dialogue", *kClassify = "classify", *kTag = "tag", *kRegress = "regress",
                            *kEmbed = "embed";
/// The head that says whether the second text of a row follows the first.
inline constexpr const char* kNextSentence = "nsp";
/// The token that a vocabulary of characters gets for masked ones.
inline constexpr const char* kMaskToken = "[MASK]";

/// Error when there is no such task, the vocabulary lacks what it needs, or the texts are not what it trains on.
std::unique_ptr<Task> make_task(const std::string& name, const TaskTexts& texts);
/// What a task trains. Error when there is no such task.
std::vector<Objective> task_objectives(const std::string& name, const TaskChoices& choices = {});
/// Whether its rows may have more than one text, or be shorter than T.
bool task_is_ragged(const std::string& name, const TaskChoices& choices = {});
/// What the files of a training hold.
enum class TaskReads { Text, Pairs, Dialogues, Labels, Tags, Numbers, Texts };
TaskReads task_reads(const std::string& name);
/// Whether these are examples with labels of any kind.
bool task_has_labels(const std::string& name);
/// Scores that can decide which model is the best, the usual one first; none: there is no choice.
std::vector<std::string> task_metrics(const std::string& name);
/// All tasks whose examples have labels.
std::vector<std::string> tasks_with_labels();

// Made by make_task.
std::unique_ptr<Task> make_language_model_task(const TaskTexts& texts);
std::unique_ptr<Task> make_masked_tokens_task(const TaskTexts& texts);
std::unique_ptr<Task> make_sentence_pairs_task(const TaskTexts& texts);
std::unique_ptr<Task> make_translate_task(const TaskTexts& texts);
std::unique_ptr<Task> make_dialogues_task(const TaskTexts& texts);
std::unique_ptr<Task> make_classify_task(const TaskTexts& texts);
std::unique_ptr<Task> make_tag_task(const TaskTexts& texts);
std::unique_ptr<Task> make_regress_task(const TaskTexts& texts);
std::unique_ptr<Task> make_embed_task(const TaskTexts& texts);

}  // namespace nib
