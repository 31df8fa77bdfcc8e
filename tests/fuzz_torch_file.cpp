// libFuzzer target: no bytes may crash the readers of PyTorch checkpoints, pickles and zip archives. The input is taken as
// a whole checkpoint, as a pickle by itself, and as that of a checkpoint with sound storages. Seeds:
// tests/fuzz_corpus/torch_file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "core/error.h"
#include "io/state_dict.h"
#include "io/torch_file.h"

namespace {

using nib::test::read_some, nib::test::sink;

// The tree as far as a user would look.
void look(const nib::PickleValue& value, int depth) {
    sink = static_cast<float>(value.number().value_or(0) != 0) + value.boolean().value_or(false);
    for (const char letter : value.text().value_or(value.name())) sink = letter;
    CHECK(value.kind() != nib::PickleValue::Kind::Storage || value.storage() != nullptr);
    CHECK(value.kind() != nib::PickleValue::Kind::Object || !value.name().empty());
    if (depth == 0) return;
    for (const nib::PickleValue* element : value.elements().first(std::min<size_t>(value.elements().size(), 20))) {
        look(*element, depth - 1);
    }
    for (const nib::PickleItem& item : value.entries().first(std::min<size_t>(value.entries().size(), 20))) {
        look(*item.key, depth - 1);
        look(*item.value, depth - 1);
    }
    if (const nib::PickleValue* found = value.find("model")) sink = static_cast<float>(found->kind());
}

void try_file(std::span<const std::byte> bytes) {
    try {
        const nib::TorchFile file = nib::TorchFile::parse(bytes, "fuzz");
        look(file.pickle.root(), 3);
        for (const nib::SourceTensor& tensor : file.tensors) {
            if (tensor.readable()) read_some(tensor);
        }
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
    }
}

void try_pickle(std::span<const std::byte> bytes) {
    try {
        const nib::Pickle pickle = nib::Pickle::parse(bytes, "fuzz");
        look(pickle.root(), 3);
        nib::find_state_dict(pickle.root(), "fuzz");
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try_file(std::as_bytes(std::span(data, size)));
    try_pickle(std::as_bytes(std::span(data, size)));
    // Storages of the sizes that the seeds' tensors have.
    std::vector<std::string> storages;
    for (const size_t bytes : {48, 24, 12, 12, 16, 16, 32, 24, 12, 6, 3, 3, 3, 4, 0, 4, 96, 96, 20, 4, 8}) {
        storages.emplace_back(bytes, '\x3c');
    }
    const std::string pickle(reinterpret_cast<const char*>(data), size);
    const std::string zip = nib::test::torch_zip(pickle, storages).bytes;
    const std::vector<char> exact(zip.begin(), zip.end());
    try_file(std::as_bytes(std::span(exact)));
    return 0;
}
