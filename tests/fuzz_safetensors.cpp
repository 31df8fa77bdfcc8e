// libFuzzer target: no bytes may crash the safetensors reader, nor that of shard indices. Seeds:
// tests/fuzz_corpus/safetensors.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "checkpoint_files.h"
#include "core/error.h"
#include "io/checkpoint_source.h"
#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        for (const nib::SourceTensor& tensor : nib::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz")) {
            if (tensor.readable()) {
                nib::test::read_some(tensor);
                if (tensor.shape.size() == 2) nib::test::read_some(tensor.transposed());
            }
        }
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
    }
    try {
        CHECK(!nib::parse_shard_index({reinterpret_cast<const char*>(data), size}, "fuzz").empty());
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
    }
    return 0;
}
