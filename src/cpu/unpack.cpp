// Weights of any type as floats.
#include "cpu/formats.h"

namespace nib::cpu::NIB_ISA {
namespace {

template <class T>
void copy_floats(const T* from, int64_t count, float* out) {
    for_each_vector(count, [&](int64_t i, auto get, auto put) { put(out + i, get(from + i)); });
}

}  // namespace

void unpack(DType type, const void* row, int64_t first, int64_t count, float* out) {
    if (type == DType::F32) return copy_floats(static_cast<const float*>(row) + first, count, out);
    if (type == DType::F16) return copy_floats(static_cast<const Half*>(row) + first, count, out);
    if (type == DType::BF16) return copy_floats(static_cast<const BFloat*>(row) + first, count, out);
    with_format(type, [&]<class F>() {
        const uint8_t* block = static_cast<const uint8_t*>(row) + first / F::kSize * F::kBytes;
        for (int64_t i = 0; i < count; i += F::kSize, block += F::kBytes) {
            int8_t q[F::kSize];
            float scale[F::kSize / 16], offset[F::kSize / 16] = {};
            F::decode(block, q, scale, offset);
            for (int g = 0; g < F::kSize / 16; ++g)
                for (int k = 0; k < 16; ++k)
                    out[i + 16 * g + k] = scale[g] * static_cast<float>(q[16 * g + k]) - (F::kOffset ? offset[g] : 0.0f);
        }
    });
}

}  // namespace nib::cpu::NIB_ISA
