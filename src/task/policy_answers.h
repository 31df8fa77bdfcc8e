// The answers that a policy learns from: written by the model in training, judged, and looked at by the model that it is
// not to leave far behind.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "infer/encoder.h"
#include "infer/rollout.h"
#include "task/prompt_text.h"
#include "task/task.h"

namespace nib {

/// An answer and what is known of it.
struct PolicyAnswer {
    int64_t document = 0;  // its prompt
    Rollout text;
    std::string words;  // the text without the token that ended it
    double reward = 0;
    std::vector<float> reference;  // log-probabilities by the reference; none where nobody asked
    std::vector<float> values;     // of each token, by the value function before it was there; likewise
};

/// The engine that writes them: as many at a time as are wanted, up to a limit.
EngineOptions answer_engine(const ModelConfig& config, const TaskTexts& texts);

class PolicyAnswers {
public:
    /// `texts` outlive it.
    explicit PolicyAnswers(const TaskTexts& texts) : texts_(texts) {}

    /// An answer to each of the prompts, which are documents of `prompts`. `first` is the number of the first answer, which
    /// with the seed draws its tokens.
    std::vector<PolicyAnswer> write(const TaskModel& model, const PromptText& prompts,
                                    const std::vector<int64_t>& documents, uint32_t first);
    /// Fills in PolicyAnswer::reference. Error when there is no such model.
    void ask_reference(const TaskModel& model, std::vector<PolicyAnswer>& answers);
    /// Fills in PolicyAnswer::values.
    void ask_values(const TaskModel& model, std::vector<PolicyAnswer>& answers);
    /// Where weights are in blocks, many tokens at a time give other roundings than one: the log-probabilities of the
    /// answers become those that training computes. Returns the mean difference; nothing where there is none to speak of.
    std::optional<double> recompute(const TaskModel& model, std::vector<PolicyAnswer>& answers);

    /// Of the last write(), tokens of answers in a second of the engine's time.
    double tokens_per_second() const { return tokens_per_second_; }
    std::vector<int32_t> prompt_ids(const PromptText& prompts, int64_t document) const;
    const PromptText& train() const;
    const PromptText& validation() const;

private:
    SequenceEncoder& policy(const TaskModel& model);
    std::vector<float> log_probs(SequenceEncoder& encoder, const std::vector<PolicyAnswer>& answers) const;
    TextTokens whole(const PolicyAnswer& answer) const;

    const TaskTexts& texts_;
    std::unique_ptr<Reward> reward_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<SequenceEncoder> policy_, reference_;
    double tokens_per_second_ = 0;
};

}  // namespace nib
