// Element types of tensors. The numbers are those of the GGUF file format (ggml_type), so that a file's type is a DType.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nib {

enum class DType : uint32_t {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    I8 = 24,
    I16 = 25,
    I32 = 26,
    I64 = 27,
    F64 = 28,
    BF16 = 30,
};

struct DTypeInfo {
    const char* name;     // as users write it: "f32", "q8_0"
    int64_t block_size;   // elements in a block; 1 for plain types
    int64_t block_bytes;  // bytes of a block
};

/// Name and block layout of `type`; nullptr when nib does not know the type (a number read from a file).
const DTypeInfo* dtype_info(DType type);

/// Bytes of `count` consecutive elements. Error unless `count` is a multiple of the type's block size.
size_t dtype_bytes(DType type, int64_t count);

}  // namespace nib
