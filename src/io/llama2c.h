// llama2.c's model files (.bin): a header with sizes, then the weights of a Llama as f32.
// https://github.com/karpathy/llama2.c, export.py: version 0 ("legacy") and version 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/source_tensor.h"

namespace nib {

/// Whether `bytes` begin like such a file. Version 0 has no magic number, so its header must make sense.
bool is_llama2c_file(std::span<const std::byte> bytes);

struct Llama2cFile {
    /// The sizes by llama2.c's names ("dim", "n_layers"), all 1 or more.
    std::vector<std::pair<std::string, int64_t>> header;
    /// By the names that the same model has in PyTorch ("layers.0.attention.wq.weight"). The output head is there only if
    /// it is not the embedding.
    std::vector<SourceTensor> tensors;

    /// Reads a file in memory, which must outlive the result. Error, naming `file`, for another version and for a header
    /// that does not fit the file's size.
    static Llama2cFile parse(std::span<const std::byte> bytes, const std::string& file);
};

}  // namespace nib
