// Pairs of answers with a score each: what a reward model says of them, or how much more probable a policy makes them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "infer/encoder.h"
#include "task/task.h"

namespace nib {

/// How often the better one has the higher score, and by how much.
class PreferenceScores {
public:
    /// `beta`: of loss().
    explicit PreferenceScores(double beta = 1) : beta_(beta) {}

    void add(double chosen, double rejected);
    int64_t count() const { return count_; }
    /// accuracy, margin (the mean difference), and the means of both sides: chosen, rejected.
    std::vector<Score> scores() const;
    /// The mean of -log sigmoid(beta (chosen - rejected)) (Bradley, Terry 1952).
    double loss() const;

private:
    const double beta_;
    int64_t count_ = 0, right_ = 0;
    double chosen_ = 0, rejected_ = 0, loss_ = 0;  // sums
};

/// A text that ends with an answer.
struct AnswerText {
    TextTokens text;
    std::vector<int64_t> answer;  // positions of the tokens that are the answer's, or end it
};

/// The texts of a pair as read_preferences() has it: both one behind the other, of so many tokens each, with their
/// segments, which may be empty, and tags that mark what is the answer's.
std::vector<AnswerText> texts_of_pair(std::span<const int32_t> ids, std::span<const int32_t> segments,
                                      std::span<const int32_t> tags, std::span<const int32_t> parts);

/// The log-probability of each answer in nats, added up over its tokens or, with `averages`, their mean.
std::vector<double> answer_log_probs(SequenceEncoder& encoder, std::span<const AnswerText> texts, bool averages = false);

}  // namespace nib
