// A prompt and an answer to it, as models with and without a chat template take them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/chat_encoding.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace nib {

struct Answered {
    std::vector<ChatMessage> messages;  // the last is the answer
    /// These may also be texts: a prompt, unless there is none, and what goes on with it.
    bool text = false;

    bool operator==(const Answered&) const = default;
};

struct AnsweredTokens {
    std::vector<int32_t> ids, types;  // types: the segment of each
    std::vector<bool> counted;        // of each: it is of the answer, or what ends it
};

/// By the template, which may be null. Texts are written one behind the other where there is no template or no prompt, with
/// the tokens that the model wants around them and, if it has one, the token that ends a text. Error with
/// Remedy::LengthenContext for more than `longest` tokens, which encode_chat() tries to avoid, with Remedy::ChooseTemplate
/// for dialogues without a template, and for an answer without tokens.
AnsweredTokens encode_answered(const Tokenizer& tokenizer, const ChatTemplate* chat_template, const Answered& answered,
                               size_t longest);

/// The tokens of a prompt, after which an answer is to be written: all messages but the last are that.
std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, const ChatTemplate* chat_template, const Answered& prompt);

}  // namespace nib
