// PyTorch's checkpoints (.pt, .pth, .bin, .ckpt) as torch.save has written them since version 1.6: a zip archive with a
// pickle of everything but the tensors' bytes, which are entries of their own.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "io/pickle.h"
#include "io/source_tensor.h"

namespace nib {

/// The dict of tensors by name in a checkpoint: what `model`, `state_dict` or `model_state_dict` holds, or the root itself.
/// nullptr when there is none.
const PickleValue* find_state_dict(const PickleValue& root);

struct TorchFile {
    Pickle pickle;                      // everything that was saved
    std::vector<SourceTensor> tensors;  // of the state dict, in its order, views of `bytes`

    /// Reads a file in memory, which must outlive the result. Error, naming `file` and the tensor, when it is damaged,
    /// wants to run code or holds no state dict. Tensors that nib cannot read are listed and refused when they are read.
    static TorchFile parse(std::span<const std::byte> bytes, const std::string& file);
};

}  // namespace nib
