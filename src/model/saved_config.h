// What is saved beside weights about a model, as far as it is said: in config.json, or in the file with the weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/pickle.h"
#include "model/checkpoint_format.h"

namespace nib {

struct SavedSize {
    int64_t ModelConfig::*size;
    const char* key;
    int64_t value;  // 1 or more
};

struct SavedConfig {
    std::vector<SavedSize> sizes;
    std::optional<float> eps;
    std::optional<std::string> activation;  // by name; perhaps none that nib has
    std::optional<bool> tied;
    int32_t begin = -1, end = -1;  // tokens around a text; -1: none, or outside the vocabulary
    std::string name;              // of the model; empty when it has none
    std::string where;             // it is said, for messages: "path/to/config.json"
    std::string program;           // that has such keys, "nanoGPT", "minGPT"; empty: not known
    std::string note;              // what the reader took it for, if it does not say so itself

    /// nullptr when it is not said.
    const SavedSize* find(int64_t ModelConfig::*size) const;
    /// Adds a size, unless it is there.
    void add(int64_t ModelConfig::*size, const char* key, int64_t value);
};

/// Fills in what a preset of minGPT says ("gpt-nano"), except for what is there. False if there is no such preset.
bool take_preset(SavedConfig& config, std::string_view name);

/// The first dict or object in what torch.save has written that says the number of heads (and no other number of channels
/// than `embd`), under the keys of `format`: nanoGPT's model_args, a dataclass, hyper_parameters, ... None if there is
/// none.
std::optional<SavedConfig> pickled_config(const PickleValue& root, const CheckpointFormat& format, int64_t embd);

/// The sizes in the header of a file of weights, under keys of `format`.
SavedConfig header_config(const std::vector<std::pair<std::string, int64_t>>& header, const CheckpointFormat& format);

}  // namespace nib
