// What is saved beside weights about a model: in config.json, or in the PyTorch file itself.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/pickle.h"
#include "model/config.h"

namespace nib {

/// As far as it is said. Sizes that are not there are those of the tensors.
struct SavedConfig {
    std::optional<int64_t> layers, heads, embd, context, vocab, ffn;
    std::optional<float> eps;
    std::optional<std::string> activation;  // by name; perhaps none that nib has
    std::optional<bool> tied;
    int32_t begin = -1, end = -1;  // tokens around a text; -1: none, or outside the vocabulary
    std::string name;              // of the model; empty when it has none
    std::string where;             // it is said, for messages: "path/to/config.json"
    std::string program;           // that has such keys, "nanoGPT", "minGPT"; empty: not known
    std::string note;              // what the reader took it for, if it does not say so itself
};

/// A size and the keys under which programs save it; the first that is there counts.
struct SizeKeys {
    std::optional<int64_t> SavedConfig::*size;
    std::array<const char*, 6> names;  // null after the last
};
std::span<const SizeKeys> size_keys();

/// Fills in what a preset of minGPT says ("gpt-nano"), except for what is there. False if there is no such preset.
bool take_preset(SavedConfig& config, std::string_view name);

/// The first dict or object in what torch.save has written that says the number of heads (and no other number of channels
/// than `embd`): nanoGPT's model_args, a dataclass, hyper_parameters, ... None if there is none.
std::optional<SavedConfig> pickled_config(const PickleValue& root, int64_t embd);

}  // namespace nib
