#include "task/answered.h"

#include <algorithm>

#include "core/error.h"

namespace nib {
namespace {

const EncodeOptions kPlain{.special = false};  // what spells a mark is text

bool is_text(const ChatTemplate* chat_template, const Answered& answered) {
    if (answered.text && (chat_template == nullptr || answered.messages.size() == 1)) return true;
    if (chat_template == nullptr)
        fail_with(Remedy::ChooseTemplate, "the model has no chat template, which says how dialogues are written");
    return false;
}

AnsweredTokens encode_texts(const Tokenizer& tokenizer, const Answered& answered) {
    AnsweredTokens all;
    const auto put = [&](int32_t id, int32_t type, bool counted) {
        all.ids.push_back(id), all.types.push_back(type), all.counted.push_back(counted);
    };
    if (tokenizer.ends_texts()) {  // an encoder, to which they are a text, or two that belong together
        const MarkedText marked =
            answered.messages.size() == 1
                ? tokenizer.encode_marked(answered.messages[0].content, kPlain)
                : tokenizer.encode_marked(answered.messages[0].content, answered.messages[1].content, kPlain);
        for (size_t t = 0; t < marked.ids.size(); ++t) put(marked.ids[t], marked.types[t], true);
        return all;
    }
    if (tokenizer.begins_texts()) put(tokenizer.begin_token(), 0, false);
    for (const ChatMessage& message : answered.messages) {
        const bool answer = &message == &answered.messages.back();
        for (const int32_t id : tokenizer.encode(message.content, kPlain)) put(id, 0, answer);
    }
    if (tokenizer.end_token() >= 0) put(tokenizer.end_token(), 0, true);
    return all;
}

}  // namespace

AnsweredTokens encode_answered(const Tokenizer& tokenizer, const ChatTemplate* chat_template, const Answered& answered,
                               size_t longest) {
    AnsweredTokens all;
    if (is_text(chat_template, answered)) {
        all = encode_texts(tokenizer, answered);
        if (all.ids.size() > longest)
            fail_with(Remedy::LengthenContext, "a text of %s, but there is room for %zu",
                      counted(std::ssize(all.ids), "token").c_str(), longest);
    } else {
        ChatTokens tokens = encode_chat(tokenizer, *chat_template, answered.messages, {.longest = longest});
        all.ids = std::move(tokens.ids);
        all.counted = std::move(tokens.counted);
        all.types.resize(all.ids.size());
    }
    if (all.ids.empty()) fail("the answer has no tokens");
    all.counted[0] = false;  // nothing predicts it
    return all;
}

std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, const ChatTemplate* chat_template, const Answered& prompt) {
    const std::span<const ChatMessage> messages(prompt.messages.begin(), prompt.messages.end() - 1);
    if (!is_text(chat_template, prompt))
        return encode_chat(tokenizer, *chat_template, messages, {.add_generation_prompt = true}).ids;
    std::vector<int32_t> ids;
    if (tokenizer.begins_texts()) ids.push_back(tokenizer.begin_token());
    for (const ChatMessage& message : messages)
        for (const int32_t id : tokenizer.encode(message.content, kPlain)) ids.push_back(id);
    return ids;
}

}  // namespace nib
