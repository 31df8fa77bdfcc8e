// What a training trains on: the rows of tokens of each step, and what a head is to make of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/backend.h"
#include "model/model.h"
#include "task/advantages.h"
#include "task/objective.h"
#include "task/rewards/reward.h"
#include "task/windows.h"
#include "text/tokenizer.h"

namespace nib {

/// How much there is to train on and to validate with: "character", "token" or "pair", and how many of them.
struct TaskExtent {
    const char* unit;
    int64_t train, validation;
};

/// What the losses of a policy's texts are divided by: each by its own tokens, all by the tokens of an update (DAPO), each
/// by the longest there may be (Dr. GRPO), or by nothing.
enum class PolicyNorm { Text, Tokens, Longest, Sum };
enum class PolicyKind { Grpo, Reinforce, Ppo };

/// How a policy learns.
struct PolicyChoices {
    PolicyKind kind = PolicyKind::Grpo;
    Graph::PolicyOptions loss{};
    float value_weight = 0, value_clip = 0;  // of Ppo: Objective::value_weight
    GaeOptions gae{};                        // of Ppo
    double kl_target = 0;                    // of Ppo: nats of an answer that gae.kl is adapted to; 0: it stays
    double kl_limit = 0;                     // nats of an answer at which training ends with an error; 0: none
    double reward_clip = 0;                  // rewards count from minus this to this, after scaling; 0: all that they are
    double ptx = 0;                          // weight of the loss of TaskTexts::beside; 0: there is no such text
    double missing_end = 0;                  // taken from the rewards of answers that do not end by themselves
    PolicyNorm norm = PolicyNorm::Tokens;
    PolicyBaseline baseline = PolicyBaseline::Group, scale = PolicyBaseline::Group;  // see compared_rewards()
    int64_t group = 8;                                                               // answers to a prompt
    int64_t rollouts = 64;                                                           // answers of an iteration
    int64_t epochs = 1;           // how often an iteration learns from them
    int64_t longest = 64;         // tokens of an answer at most
    std::vector<int32_t> ends{};  // tokens that end one
    RewardOptions reward{};

    /// Updates of an iteration, in each of which so many answers are learned from.
    int64_t updates(int64_t rows) const { return epochs * (rollouts / rows); }
};

/// What is left open in some tasks.
struct TaskChoices {
    bool next_sentence = false;   // of masked tokens: rows are two texts, of which the second follows the first or does not
    bool whole_words = false;     // of the same: all tokens of a word are chosen, or none
    double temperature = 0.05;    // of embeddings: Objective::temperature
    double lm_weight = 0;         // of labels: that of the loss of the next tokens, which is learned beside them unless 0
    bool multi_label = false;     // of classes: a text has any number of them
    std::string class_weights{};  // of the same where a text has one: as of parse_class_weights(); empty: all count alike
    Graph::PreferenceOptions preference{.beta = 0.1f};  // of DPO
    PolicyChoices policy{};
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
    const TokenText* beside = nullptr;         // of policies, what they go on learning as language models; null: nothing
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
    float weight = 1;               // how much its target counts, of a weighted objective
    OfPolicy<std::span<float>> policy{};
};

/// How well a task is done.
struct Score {
    std::string name;  // "accuracy"
    double value;
};

/// What a policy has written, and what it is worth.
struct Sample {
    std::string prompt, answer;
    double reward = 0;
};

/// What the predictions of a validation are worth.
class Judge {
public:
    virtual ~Judge() = default;
    /// What was predicted for the targets of a row of the validation.
    struct Predicted {
        std::array<std::span<const int32_t>, kMostObjectives> labels{};  // in their order; by objective
        /// Of a head of numbers these; of embeddings the cosine; of spans the logits (T,2) of all tokens.
        std::span<const float> numbers{};
    };
    virtual void add(int64_t row, const Predicted& predicted) = 0;
    virtual std::vector<Score> scores() const = 0;
    /// Whether the first one, of which more is better, decides which model is the best; else the loss does.
    virtual bool decides() const { return true; }
};

/// The model in training, for a task that asks it something.
struct TaskModel {
    Backend& backend;
    const ModelConfig& config;
    const Weights& weights;
    const Weights* reference = nullptr;  // of the model that the training started from; null: it is not there
    std::function<void(const char* what, int64_t done, int64_t all)> progress{};
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
    /// TaskRow::weight of that row.
    virtual double weight(uint32_t, uint32_t) const { return 1; }

    /// Whether rows may have more than one document, or be shorter than T. Of models with an encoder they always may.
    virtual bool ragged() const { return false; }
    /// The same for the rows of a validation.
    virtual int64_t validation_rows() const = 0;
    virtual void fill_validation(int64_t row, TaskRow& to) const = 0;
    /// Called before the first step of a training, but not when one is resumed: what it has found out until a step is kept
    /// with the checkpoint before that, and recalled.
    virtual void start(const TaskModel&) {}
    virtual std::vector<double> kept(int64_t) const { return {}; }
    virtual void recall(std::span<const double>) {}
    /// Of a task that learns from what the model writes itself: called before the rows of a step are asked for. Whether a
    /// checkpoint may be taken before this step, and what is worth telling about what was written for it.
    virtual void begin_step(uint32_t, const TaskModel&) {}
    virtual bool may_save(int64_t) const { return true; }
    virtual std::vector<Score> step_scores(int64_t) const { return {}; }
    /// Answers to the same few prompts, as the last validate() has seen them.
    virtual std::vector<Sample> samples() const { return {}; }
    /// Of the same: how good what it writes is, of which the first score, where more is better, decides; of others nothing.
    virtual std::optional<std::vector<Score>> validate(const TaskModel&) { return std::nullopt; }
    /// Of a task that is judged by more than its loss.
    virtual std::unique_ptr<Judge> judge() const { return nullptr; }
};

/// The names of tasks.
inline constexpr const char *kLanguageModel = "lm", *kMaskedTokens = "mlm", *kTranslate = "translate",
                            *kDialogues = "dialogue", *kClassify = "classify", *kTag = "tag", *kRegress = "regress",
                            *kEmbed = "embed", *kReward = "reward", *kDpo = "dpo", *kAnswer = "qa", *kGrpo = "grpo",
                            *kReinforce = "reinforce", *kPpo = "ppo";
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
enum class TaskReads { Text, Pairs, Dialogues, Labels, LabelSets, Tags, Numbers, Texts, Preferences, Questions, Prompts };
TaskReads task_reads(const std::string& name, const TaskChoices& choices = {});
/// Whether these are examples with labels of any kind.
bool task_has_labels(const std::string& name);
/// Scores that can decide which model is the best, the usual one first; none: there is no choice.
std::vector<std::string> task_metrics(const std::string& name, const TaskChoices& choices = {});
/// All tasks whose examples have labels.
std::vector<std::string> tasks_with_labels();

// Made by make_task.
std::unique_ptr<Task> make_language_model_task(const TaskTexts& texts);
std::unique_ptr<Task> make_masked_tokens_task(const TaskTexts& texts);
std::unique_ptr<Task> make_sentence_pairs_task(const TaskTexts& texts);
std::unique_ptr<Task> make_translate_task(const TaskTexts& texts);
std::unique_ptr<Task> make_dialogues_task(const TaskTexts& texts);
std::unique_ptr<Task> make_classify_task(const TaskTexts& texts);
std::unique_ptr<Task> make_multi_label_task(const TaskTexts& texts);  // of classify, where TaskChoices say so
std::unique_ptr<Task> make_tag_task(const TaskTexts& texts);
std::unique_ptr<Task> make_regress_task(const TaskTexts& texts);
std::unique_ptr<Task> make_embed_task(const TaskTexts& texts);
std::unique_ptr<Task> make_reward_task(const TaskTexts& texts);
std::unique_ptr<Task> make_dpo_task(const TaskTexts& texts);
std::unique_ptr<Task> make_policy_task(const TaskTexts& texts);
std::unique_ptr<Task> make_answer_task(const TaskTexts& texts);

/// How many windows of a part of a text of questions are learned from: an epoch of kAnswer.
int64_t learned_windows(const TokenText& text, Span span);

}  // namespace nib
