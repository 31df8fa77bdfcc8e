// What a JSON record says of a dialogue.
#pragma once

#include <string>
#include <vector>

#include "io/json_value.h"
#include "text/chat_template.h"

namespace nib {

/// The key that tells the shape of a record: "messages", "conversations", "prompt" or "instruction". Error for any other.
const char* dialogue_shape(const JsonValue& record);

/// The messages of a record of that shape; `alpaca`: instructions are worded as the template "alpaca" has them. Error for
/// what is not text, and for what nib does not know: tools, pictures, other roles.
std::vector<ChatMessage> read_dialogue(const JsonValue& record, const std::string& shape, bool alpaca);

/// Adds a list of messages, a message, or a string that one with that role says. Error likewise.
void read_turns(const JsonValue& value, const char* role, std::vector<ChatMessage>& out);

}  // namespace nib
