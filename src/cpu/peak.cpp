// Peak rates of the machine: independent fused multiply-adds in registers, and reading memory.
#include "cpu/simd.h"
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {

double peak_flops(int64_t rounds, float* sink) {
    constexpr int kChains = 10;  // enough to cover the latency of two units, few enough for 16 registers
    vf chain[kChains];
    for (int i = 0; i < kChains; ++i) chain[i] = vf(static_cast<float>(i));
    const vf factor(0.999f), term(0.001f);
    for (int64_t r = 0; r < rounds; ++r)
#pragma GCC unroll 16
        for (int i = 0; i < kChains; ++i) chain[i] = madd(chain[i], factor, term);
    vf sum = chain[0];
    for (int i = 1; i < kChains; ++i) sum += chain[i];
    *sink = reduce_add(sum);
    return 2.0 * kChains * static_cast<double>(kWidth) * static_cast<double>(rounds);
}

float read_memory(const float* data, int64_t count) {
    constexpr int kStreams = 8;
    vf sum[kStreams];
    for (int i = 0; i < kStreams; ++i) sum[i] = vf(0.0f);
    for (int64_t i = 0; i + kStreams * kWidth <= count; i += kStreams * kWidth)
#pragma GCC unroll 8
        for (int j = 0; j < kStreams; ++j) sum[j] += load(data + i + j * kWidth);
    vf total = sum[0];
    for (int j = 1; j < kStreams; ++j) total += sum[j];
    return reduce_add(total);
}

}  // namespace nib::cpu::NIB_ISA
