// safetensors, the Hugging Face hub's weight files: a length, a JSON header with the tensors' types, shapes and offsets,
// and their bytes. The format: https://github.com/huggingface/safetensors
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "io/source_tensor.h"

namespace nib {

/// The tensors of a safetensors file in memory, in the order of their data; `bytes` must outlive them. The file is checked
/// as strictly as by the reference implementation: the tensors' data fill the file without overlaps or holes.
/// Tensors of types that nib does not know are listed and refused when they are read. Error names `file` and the tensor.
std::vector<SourceTensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& file);

/// A tensor to write, of a floating-point type.
struct SafetensorsEntry {
    std::string name;
    SourceType type;
    std::vector<int64_t> shape;  // outermost first
};

/// The length and header of a file in which the tensors' data follow in the order of `entries`, without gaps. The metadata
/// says {"format": "pt"}, as PyTorch's does.
std::string safetensors_header(std::span<const SafetensorsEntry> entries);

}  // namespace nib
