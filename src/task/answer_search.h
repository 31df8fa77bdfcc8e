// The best answers to questions, from what a model says of the tokens of their windows.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "task/question_text.h"

namespace nib {

/// A piece of a context.
struct FoundAnswer {
    size_t begin = 0, end = 0;  // bytes of the context
    double score = 0;           // sum of the logits of its first and its last token
    bool operator==(const FoundAnswer&) const = default;
};

/// Over all windows of a question, as in Devlin et al. 2018, section 4.2 and 4.3.
class AnswerSearch {
public:
    /// SQuAD's usual limits: tokens of an answer at most, and answers that are compared.
    static constexpr int64_t kLongest = 30;
    static constexpr size_t kCompared = 20;

    /// `text` must outlive this.
    explicit AnswerSearch(const QuestionText& text, int64_t longest = kLongest) : text_(text), longest_(longest) {}

    /// Takes the logits (T,2) of the T tokens of a window. Error if one is not a number.
    void add(int64_t window, std::span<const float> logits);

    struct Answers {
        std::vector<FoundAnswer> best;  // at most kCompared, the best first; none, if no context has tokens
        double none = 0;                // score of no answer: that of the first token, in the window where it is least
        /// The best one is worse than none.
        bool is_none() const { return best.empty() || none > best.front().score; }
        /// The probability of each of the best and, if there may be none, of that, last: the softmax of their scores.
        std::vector<double> probabilities(bool may_be_none) const;
    };
    /// By question, of those with a window.
    const std::map<int64_t, Answers>& answers() const { return answers_; }
    /// The text of the best one, empty if `may_be_none` and no answer is better.
    std::string text_of(int64_t question, bool may_be_none) const;

private:
    const QuestionText& text_;
    const int64_t longest_;
    std::map<int64_t, Answers> answers_;
};

}  // namespace nib
