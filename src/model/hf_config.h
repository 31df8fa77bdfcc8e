// config.json of Hugging Face folders, and of others who write one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "model/saved_config.h"

namespace nib {

/// A config.json: Hugging Face's of a GPT-2, minGPT's, or any that has the sizes under the keys of such programs. Error,
/// naming `file` and the key, for what is none of these; UnsupportedOption for whatever would make the model compute
/// something that nib does not.
SavedConfig parse_hf_config(std::string_view text, const std::string& file);

class UnsupportedOption : public Error {
public:
    using Error::Error;
};

/// The text of a config.json that `transformers` and parse_hf_config() read as this model. `dtype` is PyTorch's word for
/// the type of the weights: "float32". begin, end: -1 for none.
std::string hf_config_text(const ModelConfig& config, const std::string& name, const std::string& dtype, int32_t begin,
                           int32_t end);

/// The activation that Hugging Face calls `name`. find: none, get: Error that begins with `where`, when nib has it not.
std::optional<Act> find_activation(std::string_view name);
Act get_activation(std::string_view name, const std::string& where);
/// Its name: "gelu_new".
const char* activation_name(Act act);

}  // namespace nib
