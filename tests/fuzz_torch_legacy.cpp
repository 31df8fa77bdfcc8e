// libFuzzer target: no bytes may crash the reader of PyTorch's files before 1.6. The input is taken as a whole file, as the
// object of one with sound storages, and as all that follows a sound object. Seeds: tests/fuzz_corpus/torch_legacy.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "core/error.h"
#include "io/torch_file.h"

namespace {

using namespace nib::test;

void try_file(const std::string& bytes) {
    const std::vector<char> exact(bytes.begin(), bytes.end());
    try {
        const nib::TorchFile file = nib::TorchFile::parse(std::as_bytes(std::span(exact)), "fuzz");
        for (const nib::SourceTensor& tensor : file.tensors) {
            if (tensor.readable()) read_some(tensor);
        }
        if (const nib::PickleValue* found = file.pickle.root().find("model")) sink = static_cast<float>(found->kind());
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string input(reinterpret_cast<const char*>(data), size);
    try_file(input);
    std::vector<std::string> keys;
    std::string storages;
    for (const int64_t count : {2, 4, 6}) {
        keys.push_back(std::to_string(count));
        storages += raw(count) + std::string(static_cast<size_t>(count) * 4, '\x3c');
    }
    try_file(torch_legacy(input, keys, storages));
    const std::string view = "(" + p_text("x") + p_int(1) + p_int(2) + "t";
    const std::string object = p_dict({
        {"a",                                   p_tensor(p_old_storage("FloatStorage", "2", 2),    0, {2}, {1})},
        { "b", p_tensor(p_old_storage("HalfStorage",                                   "4",   4, view), 0, {2}, {1})}
    });
    std::string head = torch_legacy(object, {}, "");
    head.resize(head.size() - std::string("\x80\x02](e.").size());
    try_file(head + input);
    return 0;
}
