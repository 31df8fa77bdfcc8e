// PyTorch's checkpoints (.pt, .pth, .bin, .ckpt) as torch.save has written them since version 0.2.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "io/pickle.h"
#include "io/source_tensor.h"

namespace nib {

/// Whether `bytes` begin like such a file, or like any other zip archive.
bool is_torch_file(std::span<const std::byte> bytes);

struct TorchFile {
    Pickle pickle;                      // everything that was saved
    std::vector<SourceTensor> tensors;  // of the state dict, in its order, views of `bytes`
    std::vector<std::string> notes;     // what the user should know about how they were found

    /// Reads a file in memory, which must outlive the result. Error, naming `file` and the tensor, when it is damaged or
    /// has no state dict (io/state_dict.h says which is taken). Nothing in it is executed: tensors that nib cannot read, or
    /// only by calling what it does not know, are listed and refused when they are read.
    static TorchFile parse(std::span<const std::byte> bytes, const std::string& file);
};

}  // namespace nib
