// What torch.save writes: a pickle of everything but the tensors' bytes, and these, which make up storages.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "io/pickle.h"

namespace nib {

struct TorchContainer {
    Pickle pickle;
    std::map<std::string_view, std::span<const std::byte>> storages;  // by their keys
};

/// Whether these bytes begin a file of the older format, of one pickle after the other.
bool is_torch_legacy(std::span<const std::byte> bytes);

/// Whether `bytes` are a zip archive of TorchScript: a program, with a pickle of its own beside.
bool is_torch_script(std::span<const std::byte> bytes);

/// Read the format of PyTorch since 1.6, a zip archive, and that of PyTorch 0.2 to 1.5 from `bytes`, which must outlive the
/// result. Error, naming `file`, when it is damaged, or something else.
TorchContainer read_torch_archive(std::span<const std::byte> bytes, const std::string& file);
TorchContainer read_torch_legacy(std::span<const std::byte> bytes, const std::string& file);

}  // namespace nib
