// What the texts that a policy writes are worth: a number for each, of which more is better.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/backend.h"

namespace nib {

/// A text to judge.
struct RewardText {
    std::string prompt, response;  // UTF-8, without the tokens that end a text
    std::string reference;         // what the data has as the right answer; empty: none
    int64_t tokens = 0;            // of the response
};

class Reward {
public:
    virtual ~Reward() = default;
    /// In the order of the texts. Error when one is not a finite number.
    virtual std::vector<double> score(std::span<const RewardText> texts) = 0;
};

/// Which ones there are; their sum, each times its weight, is the reward.
struct RewardOptions {
    std::string model{};          // "FILE", or "FILE:LABEL": the probability of that label
    std::string command{};        // for the shell
    double command_timeout = 60;  // seconds
    std::string regex{};          // 1 if it is found in the response, else 0
    int64_t length = 0;           // -|tokens - length| / length; 0: none
    std::string match{};          // with the reference: exact (1 or 0), bleu or chrf (0 to 1)
    std::string weights{};        // "1,0.5", in the order above; empty: all 1
};

/// Error when there is none, or one makes no sense. A model is run on `backend`, which must outlive it.
std::unique_ptr<Reward> make_reward(const RewardOptions& options, Backend& backend);

/// The file of RewardOptions::model; empty: there is none.
std::string reward_file(const RewardOptions& options);

/// The number that a model's head says of texts, or the probability of a label: its own tokenizer and chat template read
/// them, so that it may be of any family.
std::unique_ptr<Reward> make_model_reward(const std::string& file_and_label, Backend& backend);
/// Runs a command by the shell for each batch, with a line of JSON for each text on its standard input:
/// {"prompt": "...", "response": "...", "reference": "..."}; it writes a number on a line for each. Error when it fails,
/// writes something else or takes longer than that many seconds.
std::unique_ptr<Reward> make_command_reward(const std::string& command, double timeout);
std::unique_ptr<Reward> make_regex_reward(const std::string& pattern);
std::unique_ptr<Reward> make_length_reward(int64_t length);
/// Error when `how` is none of exact, bleu and chrf.
std::unique_ptr<Reward> make_match_reward(const std::string& how);

}  // namespace nib
