// Finding out what a chat template does.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat_template.h"
#include "text/jinja.h"

namespace nib {

class ChatProbe {
public:
    /// `begin` and `end` are the tokens around texts; those that are empty do not exist. Error for what is not Jinja.
    ChatProbe(const std::string& jinja, const std::string& begin, const std::string& end);

    /// The template, but for its name. Error if it does more than to put something around messages.
    ChatTemplate run();

private:
    using Messages = std::vector<ChatMessage>;

    // Nothing if the template raises an exception.
    std::optional<std::string> write(const Messages& messages, bool prompt = false) const;
    std::string must_write(const Messages& messages, bool prompt = false) const;
    void find_slots();
    void find_ends();
    void find_system();
    void find_trims();
    void find_trim(const Messages& messages, ChatTemplate::Slot& slot);
    void verify() const;

    JinjaTemplate template_;
    std::string begin_, end_;
    ChatTemplate found_;
};

}  // namespace nib
