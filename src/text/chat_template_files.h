// Where model files and Hugging Face folders keep their chat template.
#pragma once

#include <string>

namespace nib {

/// The key of a GGUF file.
inline constexpr const char* kChatTemplateKey = "tokenizer.chat_template";
/// A folder's file with nothing else.
inline constexpr const char* kChatTemplateFile = "chat_template.jinja";

/// The Jinja of a folder (empty: none): its chat_template.jinja, or what tokenizer_config.json has, of several the one
/// named "default". Empty: none. Error, naming the file, when it is damaged.
std::string load_chat_template(const std::string& folder);

}  // namespace nib
