// How the messages of a dialogue become one text, in the way that a model was trained on.
//
// Models say it in Jinja. nib evaluates that only to find out what it is: it has the template write a few short dialogues,
// reads off what stands around the messages of each role, and checks that this explains all that the template writes. So
// a template is known by what it does, not by how it is spelled, with its default system prompt and all.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace nib {

struct ChatMessage {
    std::string role, content;  // "system", "user" or "assistant"
    bool learnt = true;         // of an answer: training is to predict it

    bool operator==(const ChatMessage&) const = default;
};

/// Error, naming the message, for what no template takes: no message besides the system's, an empty one, another role, a
/// system message that is not the first.
void check_messages(std::span<const ChatMessage> messages);

/// A part of a rendered dialogue.
struct ChatStretch {
    std::string text;
    int64_t message = -1;  // the one that this is of, counted from 0; -1: of none
    bool content = false;  // what the message says, and not what stands around it
    bool answer = false;   // what the model has to say: an answer and what ends it
};

class ChatTemplate {
public:
    /// The template that a model's Jinja is, as one of names(). Error with Remedy::ChooseTemplate for any other.
    static ChatTemplate recognize(const std::string& jinja, const Tokenizer& tokenizer);

    /// The one of that name, for a model that has none. Error when there is no such name, and when the template ends
    /// answers with a token that `tokenizer` does not have.
    static ChatTemplate find(std::string_view name, const Tokenizer& tokenizer);

    /// That of a model whose Jinja is `jinja` (empty: it has none), or the one called `name` (empty: the model's own) if
    /// there is none or nib does not know it. Error with Remedy::ChooseTemplate when there is none and no name, and when
    /// the model has another one than that.
    static ChatTemplate choose(const std::string& jinja, const std::string& name, const Tokenizer& tokenizer);

    /// "chatml", "llama2", "llama3", "zephyr", "mistral", "alpaca".
    static const std::vector<std::string>& names();

    const std::string& name() const { return name_; }
    /// The Jinja, for a model file's `tokenizer.chat_template`.
    const std::string& jinja() const { return jinja_; }
    /// Marks like "<|im_start|>" that are tokens in the vocabularies of models with this template, also those that begin
    /// and end texts, if it writes them.
    std::vector<std::string> marks() const;
    /// What ends an answer.
    const std::string& answer_end() const { return answer_.after; }
    /// The token that is, without white space around it; -1: it takes several, or nothing ends an answer. Error when the
    /// tokenizer cannot write it.
    int32_t answer_end_token(const Tokenizer& tokenizer) const;

    /// The text of a dialogue, in stretches, as the Jinja writes it; with `add_generation_prompt` also what comes before
    /// the answer to it. Error, naming the message, for what check_messages() or the template does not take: a system
    /// message that has no place in it, roles that do not take turns where they must.
    std::vector<ChatStretch> render(std::span<const ChatMessage> messages, bool add_generation_prompt = false) const;

private:
    // Around what a message says, and which of its ends lose their white space.
    struct Slot {
        std::string before = {}, after = {};
        bool trim_left = false, trim_right = false;
    };
    enum class SystemPlace {
        None,
        Turn,         // a turn of its own
        FirstUser,    // in the turn of the first user message
        LastUser,     // in that of the last
        LastMessage,  // in that of the last message, if it is the user's; else nowhere
    };

    friend class ChatProbe;
    ChatTemplate() = default;
    void check(std::span<const ChatMessage> messages) const;
    size_t sharing_system(std::span<const ChatMessage> messages) const;

    std::string name_, jinja_;
    std::vector<std::string> ends_used_;  // of the tokens around texts those that it writes
    std::string opening_;                 // before the first message, in place of a system message
    std::string answer_opening_;          // the same before an answer that is the first message
    std::string closing_;                 // after an answer that is the last message, unless a prompt for another follows
    std::string prompt_;                  // what an answer begins with, before it is given
    Slot system_, user_, answer_;
    SystemPlace system_place_ = SystemPlace::None;
    bool trim_after_system_ = false;  // the left of a user message in whose turn the system message is
    bool alternates_ = false;         // user and assistant must take turns
};

}  // namespace nib
