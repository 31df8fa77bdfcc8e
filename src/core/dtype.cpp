#include "core/dtype.h"

#include "core/error.h"

namespace nib {

const DTypeInfo* dtype_info(DType type) {
    static constexpr DTypeInfo f32{"f32", 1, 4}, f16{"f16", 1, 2}, bf16{"bf16", 1, 2}, f64{"f64", 1, 8}, i8{"i8", 1, 1},
        i16{"i16", 1, 2}, i32{"i32", 1, 4}, i64{"i64", 1, 8}, q4_0{"q4_0", 32, 18}, q4_1{"q4_1", 32, 20},
        q5_0{"q5_0", 32, 22}, q5_1{"q5_1", 32, 24}, q8_0{"q8_0", 32, 34}, q2_k{"q2_k", 256, 84}, q3_k{"q3_k", 256, 110},
        q4_k{"q4_k", 256, 144}, q5_k{"q5_k", 256, 176}, q6_k{"q6_k", 256, 210};
    switch (type) {
        case DType::F32: return &f32;
        case DType::F16: return &f16;
        case DType::BF16: return &bf16;
        case DType::F64: return &f64;
        case DType::I8: return &i8;
        case DType::I16: return &i16;
        case DType::I32: return &i32;
        case DType::I64: return &i64;
        case DType::Q4_0: return &q4_0;
        case DType::Q4_1: return &q4_1;
        case DType::Q5_0: return &q5_0;
        case DType::Q5_1: return &q5_1;
        case DType::Q8_0: return &q8_0;
        case DType::Q2_K: return &q2_k;
        case DType::Q3_K: return &q3_k;
        case DType::Q4_K: return &q4_k;
        case DType::Q5_K: return &q5_k;
        case DType::Q6_K: return &q6_k;
    }
    return nullptr;
}

size_t dtype_bytes(DType type, int64_t count) {
    const DTypeInfo* info = dtype_info(type);
    if (info == nullptr) fail("there is no type %u", static_cast<unsigned>(type));
    if (count < 0 || count % info->block_size != 0)
        fail("%lld numbers are no whole number of %s blocks of %lld", static_cast<long long>(count), info->name,
             static_cast<long long>(info->block_size));
    return static_cast<size_t>(count / info->block_size * info->block_bytes);
}

}  // namespace nib
