// libFuzzer target: no bytes may crash the safetensors reader, nor that of shard indices. Seeds:
// tests/fuzz_corpus/safetensors.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "io/checkpoint_source.h"
#include "io/safetensors.h"

namespace {

volatile float sink;  // keeps the reads of values that nobody uses

void read_some(const nib::SourceTensor& tensor) {
    std::vector<float> piece(static_cast<size_t>(std::min<int64_t>(tensor.elements(), 1000)));
    tensor.read(0, piece);
    for (const float value : piece) sink = value;
    tensor.read(tensor.elements() - static_cast<int64_t>(piece.size()), piece);
    for (const float value : piece) sink = value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        for (const nib::SourceTensor& tensor : nib::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz")) {
            if (tensor.readable()) {
                read_some(tensor);
                if (tensor.shape.size() == 2) read_some(tensor.transposed());
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
