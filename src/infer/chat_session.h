// A dialogue with a model: what was said, and answers to it as they come.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/engine.h"
#include "infer/generate.h"
#include "text/chat_encoding.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace nib {

struct ChatOptions {
    /// Answer i (from 0) of a dialogue is drawn with seed + i, so that the same dialogue gets the same answer.
    SamplerOptions sampler;
    int64_t length = 1024;            // tokens of an answer, at most
    std::vector<std::string> stop;    // an answer ends before the first of these, too
    std::function<bool()> cancelled;  // asked before each token; true ends the answer
};

struct ChatAnswer {
    std::string text;      // without white space around it; empty: the model said nothing
    bool ended = false;    // as the template or a stop string ends answers
    bool full = false;     // cut, since there was no room left in the context
    size_t left_out = 0;   // messages that the model does not see any more, from this answer on
    int64_t cached = 0;    // tokens of the prompt that were evaluated for earlier answers
    GenerateResult speed;  // tokens and seconds
};

/// Keys and values of the dialogue stay in the engine between answers: only the tokens from the first on that differs are
/// evaluated. When the dialogue grows beyond the context, the model sees fewer of its turns, the newest ones, each of them
/// whole, and the system prompt. All messages stay in messages().
///
/// Every Error leaves the dialogue as it was.
class ChatSession {
public:
    /// `engine`, of which slot 0 is used, and `tokenizer` must outlive this. Error when options make no sense or the
    /// tokenizer cannot write what ends an answer.
    ChatSession(Engine& engine, const Tokenizer& tokenizer, ChatTemplate chat_template, ChatOptions options);

    /// Says `text` and hears the answer, which `sink` gets as it comes: whole UTF-8 characters, all in all the text of the
    /// answer. A turn without an answer is forgotten, one whose answer was cancelled is not. Error when the text is empty,
    /// not UTF-8 or longer than the context leaves room for, and as of encode_chat().
    ChatAnswer ask(const std::string& text, const std::function<void(std::string_view)>& sink);

    /// The system prompt, if any, and turns of user and assistant.
    const std::vector<ChatMessage>& messages() const { return messages_; }
    /// Takes over another dialogue. Error when the template refuses it or the last message is no answer.
    void set_messages(std::vector<ChatMessage> messages);
    /// Sets the system prompt; empty: none, or the template's own. Error when it is not UTF-8 or the template has no place
    /// for one.
    void set_system(const std::string& text);
    /// Forgets all turns; the system prompt stays.
    void reset();
    /// Forgets the last turn; false if there is none.
    bool undo();

    const ChatTemplate& chat_template() const { return template_; }
    /// 0 or more. Error otherwise.
    void set_temperature(double temperature);

private:
    size_t first_turn() const { return !messages_.empty() && messages_[0].role == "system"; }
    void find_ends();
    std::vector<ChatMessage> seen_with(const std::string& text) const;
    ChatTokens encode(std::span<const ChatMessage> messages, size_t longest) const;
    ChatTokens fit(std::span<const ChatMessage> messages) const;
    GenerateOptions generate_options(std::span<const int32_t> prompt) const;

    Engine& engine_;
    const Tokenizer& tokenizer_;
    const ChatTemplate template_;
    ChatOptions options_;
    std::vector<int32_t> ends_;  // tokens that end an answer
    std::vector<ChatMessage> messages_;
    size_t hidden_ = 0;            // of the turns' messages those that the model does not see any more
    std::vector<int32_t> cached_;  // tokens whose keys and values are at the beginning of slot 0
};

}  // namespace nib
