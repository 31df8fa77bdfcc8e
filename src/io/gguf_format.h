// Constants of the GGUF format, for its reader and writer.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "io/gguf.h"

namespace nib::gguf {

static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian and used in place");

constexpr uint32_t kVersion = 3;
constexpr uint32_t kArrayType = 9;          // type number of "array", in between those of the scalars
constexpr size_t kScalarTypes = 12;         // the first alternatives of GgufValue
constexpr uint64_t kDefaultAlignment = 32;  // of tensor data, where the file does not say otherwise
constexpr size_t kMaxNameBytes = 65535;     // bytes of a key or a tensor name
constexpr size_t kMaxDimensions = 4;
constexpr const char* kAlignmentKey = "general.alignment";

static_assert(std::variant_size_v<GgufVariant> == 2 * kScalarTypes);

}  // namespace nib::gguf
