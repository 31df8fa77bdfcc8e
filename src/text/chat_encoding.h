// The tokens of a dialogue, and which of them the model has to say.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace nib {

struct ChatTokens {
    std::vector<int32_t> ids;
    std::vector<bool> counted;  // of each: it is of an answer that is learnt, or of what ends one
    size_t left_out = 0;        // how many messages were left out to make it fit

    bool operator==(const ChatTokens&) const = default;
};

struct ChatEncodeOptions {
    bool add_generation_prompt = false;
    size_t longest = std::numeric_limits<size_t>::max();  // as many tokens at most
};

/// The tokens of all of the text of a dialogue, as `transformers` gives them; those count that have a byte in common with
/// an answer or what ends it. What messages say is text and nothing else: where it spells a mark like "<|im_start|>", that
/// gets the tokens of its characters, so that no message can pass itself off as two.
///
/// When that is too long, the oldest turns are left out, each of them whole: a turn is all messages from one of the user's
/// to the next after an answer. The system message stays. Error when the last turn alone is too long; when the template
/// refuses the dialogue; and when a mark in a message cannot be told from a real one, or tokens not be found in the text,
/// because of what the tokenizer does with texts.
ChatTokens encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat_template, std::span<const ChatMessage> messages,
                       const ChatEncodeOptions& options = {});

}  // namespace nib
