// One dialogue in a file, as chats are saved.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "text/chat_template.h"

namespace nib {

/// Writes a new file with {"messages": [{"role": "user", "content": "..."}, ...]}, on one line, so that it is also a file
/// to train on. Error when there is no answer to save, when the file exists or cannot be written.
void save_dialogue(const std::string& path, std::span<const ChatMessage> messages);

/// The only dialogue of a file in any shape that DialogueFile reads; `alpaca` as there. Error as from it, and when there is
/// none or another one.
std::vector<ChatMessage> load_dialogue(const std::string& path, bool alpaca);

}  // namespace nib
