// Prompts that a policy writes answers to.
//
// .jsonl and .json (a list, or JSON Lines), each also packed (.gz), with records
//     {"prompt": "...", "answer": "..."}
// whose prompt, or "messages", may be a list of messages, and whose answer, or "reference" or "solution", is what rewards
// compare with;
// and .txt, of which each line is a prompt.
#pragma once

#include <string>
#include <vector>

#include "task/labelled_file.h"

namespace nib {

/// What is known of a prompt beside its tokens.
struct PromptWords {
    std::string prompt;     // what people read: the text, or the last message
    std::string reference;  // empty: none
};

/// The tokens of prompts, each an example.
class PromptText : public LabelledText {
public:
    PromptText(std::vector<LabelledExample> examples, std::vector<PromptWords> words);
    const PromptWords& words(int64_t i) const { return words_[static_cast<size_t>(i)]; }
    uint64_t beside_tokens() const override;

private:
    std::vector<PromptWords> words_;
};

/// Prompts of at most options.context tokens, in the order of the files; longer ones are passed over and counted. Error,
/// naming file and line, for what is not of this form, and when there is none.
void read_prompts(const std::vector<std::string>& paths, const Tokenizer& tokenizer, const LabelledFileOptions& options,
                  std::vector<LabelledExample>& examples, std::vector<PromptWords>& words);

}  // namespace nib
