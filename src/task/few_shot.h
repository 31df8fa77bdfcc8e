// Prompts that a language model was not trained for: some examples with their answers, then a question, whose possible
// answers are told apart by how probable they are (Brown et al. 2020, section 2.4).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "task/choice_file.h"
#include "text/tokenizer.h"

namespace nib {

/// How an example is written: text in which {text}, {second} and {label} stand for its parts.
class PromptForm {
public:
    /// Error unless {text} is there and then {label}, each once; `two`: {second} is to be there, too.
    PromptForm(const std::string& form, bool two);

    /// What stands before the answer, without the spaces right before it.
    std::string before(const ChoiceQuestion& question) const;
    /// The answer with these spaces.
    std::string answer(const std::string& choice) const { return space_ + choice; }
    /// The whole of an example.
    std::string whole(const ChoiceQuestion& example) const;
    /// What stands between the texts and the answer: the prompt of an answer to no question.
    std::string lead() const;

private:
    std::string before_, space_, after_;
};

/// A prompt and its continuations, as tokens.
struct PromptTokens {
    std::vector<int32_t> prompt;
    std::vector<std::vector<int32_t>> choices;
    size_t shots = 0;  // examples in it

    /// Of the prompt with its longest continuation.
    size_t longest() const;
};

class FewShotPrompts {
public:
    /// `tokenizer` must outlive this. A prompt with its answer has `context` tokens at most.
    FewShotPrompts(const Tokenizer& tokenizer, PromptForm form, std::vector<ChoiceQuestion> shots, int64_t context);

    /// The prompt of a question: all examples, or the last ones where they do not fit in. Error when the question alone
    /// does not.
    PromptTokens encode(const ChoiceQuestion& question) const;
    /// Its answers after PromptForm::lead() alone.
    PromptTokens encode_unconditional(const ChoiceQuestion& question) const;

private:
    PromptTokens tokens_of(const std::string& prompt, const ChoiceQuestion& question) const;

    const Tokenizer& tokenizer_;
    const PromptForm form_;
    const std::vector<ChoiceQuestion> shots_;
    const size_t context_;
};

}  // namespace nib
