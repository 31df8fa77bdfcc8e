#include "task/saved_dialogue.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/error.h"
#include "io/atomic_file.h"
#include "task/dialogue_file.h"

namespace nib {

void save_dialogue(const std::string& path, std::span<const ChatMessage> messages) {
    if (std::none_of(messages.begin(), messages.end(), [](const auto& message) { return message.role == "assistant"; }))
        fail("there is no answer in the dialogue yet; nothing is saved");
    std::error_code error;
    if (std::filesystem::exists(path, error)) fail("%s: already exists; choose another name", printable(path).c_str());
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const ChatMessage& message : messages) {
        list.push_back({
            {"role",    message.role   },
            {"content", message.content}
        });
        if (message.role == "assistant" && !message.learnt) list.back()["weight"] = 0;
    }
    const nlohmann::ordered_json record = {
        {"messages", std::move(list)}
    };
    write_file_atomically(path, record.dump() + "\n");
}

std::vector<ChatMessage> load_dialogue(const std::string& path, bool alpaca) {
    DialogueFile file(path, {.alpaca = alpaca});
    std::vector<ChatMessage> messages, another;
    if (!file.next(messages)) fail("%s: holds no dialogue", printable(path).c_str());
    if (file.next(another)) fail("%s: holds more than one dialogue", printable(path).c_str());
    return messages;
}

}  // namespace nib
