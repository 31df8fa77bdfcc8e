// Which file of a folder holds a model's weights.
#pragma once

#include <string>

namespace nib {

/// The path of the first of these that exists: model.safetensors, its shard index, pytorch_model.bin, its shard index,
/// model.pt (minGPT's). Error that says what the folder holds instead, and what to do with that.
std::string find_weights(const std::string& folder);

}  // namespace nib
