// What torch.save writes: a pickle of everything but the tensors' bytes, and the storages that have those.
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
    std::map<std::string_view, std::span<const std::byte>> storages;  // by key
};

/// Whether `bytes` begin like a file of the older format, a sequence of pickles.
bool is_torch_legacy(std::span<const std::byte> bytes);

/// Whether `bytes` are a zip archive of TorchScript: a program, which has a data.pkl, too.
bool is_torch_script(std::span<const std::byte> bytes);

/// Read the format of PyTorch since 1.6, a zip archive, and that of PyTorch 0.2 to 1.5 from `bytes`, which must outlive the
/// result. Error, naming `file`, when it is damaged, or something else.
TorchContainer read_torch_archive(std::span<const std::byte> bytes, const std::string& file);
TorchContainer read_torch_legacy(std::span<const std::byte> bytes, const std::string& file);

}  // namespace nib
