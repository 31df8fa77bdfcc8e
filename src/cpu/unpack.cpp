// Converts weights of any type to floats.
#include "cpu/block_formats.h"
#include "cpu/formats.h"

namespace nib::cpu::NIB_ISA {
namespace {

template <class T>
void copy_floats(const T* from, int64_t count, float* out) {
    for_each_vector(count, [&](int64_t i, auto get, auto put) { put(out + i, get(from + i)); });
}

// out[i] = scale[i / 16] * (levels[i] - zero) - offset[i / 16]
template <class Level>
[[gnu::noinline]] void expand(const Level* __restrict levels, int zero, const float* __restrict scale,
                              const float* __restrict offset, int64_t count, float* __restrict out) {
    for (int64_t g = 0; g < count / 16; ++g)
        for (int k = 0; k < 16; ++k) out[16 * g + k] = scale[g] * static_cast<float>(levels[16 * g + k] - zero) - offset[g];
}

}  // namespace

void unpack(DType type, const void* row, int64_t first, int64_t count, float* out) {
    if (type == DType::F32) return copy_floats(static_cast<const float*>(row) + first, count, out);
    if (type == DType::F16) return copy_floats(static_cast<const Half*>(row) + first, count, out);
    if (type == DType::BF16) return copy_floats(static_cast<const BFloat*>(row) + first, count, out);
    with_format(type, [&]<class F>() {
        const uint8_t* blocks = static_cast<const uint8_t*>(row) + first / F::kBlock * F::kBlockBytes;
        for (int64_t i = 0; i < count; i += kChunk, blocks += F::kBytes) {
            const int64_t values = min(kChunk, count - i);
            uint8_t levels[kChunk];
            float scale[kChunk / 16], offset[kChunk / 16] = {};
            decode_chunk<F>(blocks, values, levels, scale, offset);
            if (F::kSigned)
                expand(reinterpret_cast<const int8_t*>(levels), 0, scale, offset, values, out + i);
            else
                expand(levels, F::kZero, scale, offset, values, out + i);
        }
    });
}

}  // namespace nib::cpu::NIB_ISA
