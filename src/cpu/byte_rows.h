// Rows of x as signed bytes with scales, quantized as in src/quant/quantize.h: the left operand of integer products.
// Compiled once per instruction set like simd.h.
#pragma once

#include "cpu/block_formats.h"
#include "cpu/int8.h"

namespace nib::cpu::NIB_ISA {

constexpr int64_t kGroup = 16;  // the fewest values that share a scale

/// The level of the value 0, in the form of the levels that products use.
template <class F>
constexpr int kZeroLevel = F::kSigned&& kUnsignedOnly ? 128 : F::kZero;

/// A row, padded with zeros to whole chunks: value i is scale[i / 16] * q[i], and `sum` has the sum of each group's values.
/// Products with levels are too large by the zero level times the sum of the q. To correct that, integer sums start from
/// word_start for every four q, or from group_start for every group. A group of 32 has two entries: the second one is zero
/// in `sum` and group_start, and equal to the first in `scale`.
struct Row {
    int8_t* q;
    float *scale, *sum;
    int32_t *word_start, *group_start;
};

/// Memory layout of rows of K values.
struct Layout {
    int64_t K;
    explicit Layout(int64_t K_) : K(round_up(K_, kChunk)) {}
    int64_t bytes() const { return K + K / kGroup * 4 * 3 + K; }
    Row row(void* base, int64_t i) const {
        char* at = static_cast<char*>(base) + i * bytes();
        auto* scale = reinterpret_cast<float*>(at + K);
        auto* integers = reinterpret_cast<int32_t*>(scale + K / kGroup * 2);
        return {reinterpret_cast<int8_t*>(at), scale, scale + K / kGroup, integers + K / kGroup, integers};
    }
};

/// Quantizes `count` values with one scale, bit for bit as quant::quantize_activations. `group`, 16 or 32: values in a
/// group; `level`: the zero level.
inline void quantize_run(const float* __restrict x, int64_t count, int64_t group, int32_t level, int8_t* __restrict q,
                         float* __restrict scale, float* __restrict sum, int32_t* __restrict start) {
    int32_t most = 0;  // magnitudes compare like their bits
    for (int64_t i = 0; i < count; ++i) {
        int32_t bits;
        __builtin_memcpy(&bits, x + i, 4);
        bits &= 0x7FFFFFFF;
        most = bits > most ? bits : most;
    }
    float amax;
    __builtin_memcpy(&amax, &most, 4);
    const bool finite = most < 0x7F800000, zero = amax < 0x1p-100f;
    const float unit = finite ? zero ? 0.0f : amax / 127 : __builtin_nanf("");
    const float inverse = zero || !finite ? 0.0f : 127 / amax;
    constexpr float kRound = 0x1.8p23f;  // adding it rounds to an integer
    if (finite)
        for (int64_t i = 0; i < count; ++i) q[i] = static_cast<int8_t>((x[i] * inverse + kRound) - kRound);
    else
        __builtin_memset(q, 0, static_cast<size_t>(count));
    for (int64_t i = 0; i < count; i += kGroup) {
        int32_t total = 0;
        for (int64_t k = 0; k < kGroup; ++k) total += q[i + k];
        start[i / kGroup] = total;
    }
    for (int64_t g = 0; g < count / kGroup; ++g) {
        if (group == 32) start[g] = g % 2 ? 0 : start[g] + start[g + 1];
        scale[g] = unit;
        sum[g] = unit * static_cast<float>(start[g]);
        start[g] *= -level;
    }
}

/// Quantizes a row of K values for products with weights of format F.
template <class F>
[[gnu::noinline]] void quantize_row(const float* x, int64_t K, const Layout& layout, const Row& out) {
    constexpr int64_t run = F::kBlock;  // values quantized with one scale
    constexpr int32_t zero = kZeroLevel<F>;
    for (int64_t k = 0, g = 0; k < K; k += run, g = k / kGroup)
        quantize_run(x + k, run, F::kGroup, zero, out.q + k, out.scale + g, out.sum + g, out.group_start + g);
    __builtin_memset(out.q + K, 0, static_cast<size_t>(layout.K - K));
    for (int64_t g = K / kGroup; g < layout.K / kGroup; ++g) out.scale[g] = out.sum[g] = 0, out.group_start[g] = 0;
    for (int64_t k = 0; zero != 0 && k < layout.K / 4; ++k)
        out.word_start[k] = -zero * (out.q[4 * k] + out.q[4 * k + 1] + out.q[4 * k + 2] + out.q[4 * k + 3]);
}

/// Interleaves two rows for matrix instructions: of every 16 bytes, `first` gets the first eight of both rows, `second` the
/// other eight.
inline void pair_rows(int8_t* first, int8_t* second, int64_t K) {
    for (int64_t k = 0; k < K; k += 16) {
        int64_t a, b;
        __builtin_memcpy(&a, first + k + 8, 8);
        __builtin_memcpy(&b, second + k, 8);
        __builtin_memcpy(first + k + 8, &b, 8);
        __builtin_memcpy(second + k, &a, 8);
    }
}

}  // namespace nib::cpu::NIB_ISA
