// How well questions are answered with pieces of a text: exact match and F1, by the rules of three data sets.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

enum class AnswerRules {
    // The evaluation script of SQuAD 1.1. Texts are compared in lower case, without ASCII punctuation, the words a, an and
    // the,
    // and surplus white space; F1 is of the bags of words.
    Squad1,
    // That of SQuAD 2.0: the same, but answers of which this leaves nothing are passed over, and a question without others
    // has
    // none. Then 1 for saying nothing, 0 for anything else.
    Squad2,
    // That of CMRC 2018 (cmrc2018_evaluate.py, version 5), for Chinese. Texts are compared in lower case and without
    // certain
    // punctuation; F1 is of the longest run of segments that both have, where a Chinese character is a segment, and other
    // text
    // is cut into words as the Penn Treebank has them.
    Cmrc2018,
};

struct AnswerScore {
    double exact;  // 0 or 1
    double f1;     // 0 to 1
};

/// The best score over the answers that are right; a question without any is answered by an empty text.
AnswerScore score_answer(AnswerRules rules, std::string_view predicted, std::span<const std::string> answers);

/// The mean over questions, in percent, as it is reported.
class AnswerScores {
public:
    explicit AnswerScores(AnswerRules rules) : rules_(rules) {}
    AnswerScore add(std::string_view predicted, std::span<const std::string> answers);

    struct Mean {
        double exact = 0, f1 = 0;  // 0 to 100
        int64_t questions = 0;
    };
    Mean all() const;
    /// Of the questions that have an answer, and of those that have none.
    Mean answerable() const { return mean(answerable_); }
    Mean unanswerable() const { return mean(unanswerable_); }

private:
    static Mean mean(Mean sums);

    AnswerRules rules_;
    Mean answerable_, unanswerable_;  // sums
};

/// A text as SQuAD's rules compare it.
std::string normalized_answer(std::string_view text);

/// A text's segments as the rules of CMRC 2018 have them, without the punctuation that they pass over.
std::vector<std::string> mixed_segments(std::string_view text);

}  // namespace nib
