// config.json of a Hugging Face folder: from and to GptConfig.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/config.h"

namespace nib {

/// What a config.json says, as far as it says it. Sizes that are not there are those of the tensors.
struct HfConfig {
    std::optional<int64_t> layers, heads, embd, context, vocab, ffn;
    std::optional<float> eps;
    std::optional<Act> act;
    std::optional<bool> tied;
    int32_t begin = -1, end = -1;  // tokens around a text; -1: none, or outside the vocabulary
    std::string name;              // of the model; empty when it has none
};

/// Error, naming `file` and the key, for another architecture and for whatever would make a model compute something that
/// nib does not.
HfConfig parse_hf_config(std::string_view text, const std::string& file);

/// The text of a config.json that `transformers` and parse_hf_config() read as this model. `dtype` is PyTorch's word for
/// the type of the weights: "float32". begin, end: -1 for none.
std::string hf_config_text(const GptConfig& config, const std::string& name, const std::string& dtype, int32_t begin,
                           int32_t end);

/// The activation that Hugging Face calls `name`. Error, beginning with `where`, when nib has it not.
Act find_activation(const std::string& name, const std::string& where);

}  // namespace nib
