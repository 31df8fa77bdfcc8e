// Rows of x as signed bytes with scales, quantized as src/quant/quantize.h says: the left operand of products of integers.
// Compiled once per instruction set like simd.h.
#pragma once

#include "cpu/block_formats.h"
#include "cpu/int8.h"

namespace nib::cpu::NIB_ISA {

constexpr int64_t kGroup = 16;  // values with one scale, at least

/// What a format's levels, as products take them, are above the values.
template <class F>
constexpr int kZeroLevel = F::kSigned&& kUnsignedOnly ? 128 : F::kZero;

/// A row, padded with zeros to whole chunks: value i is scale[i / 16] * q[i], and sum holds the sums of the values of each
/// group. The products with levels instead of values are too large by zero times the sum of the q: what corrects that, as
/// integers, is in word_start for each four q and in group_start for each group. What belongs to a group of 32 stands at
/// the first of its two places of 16, the second is zero (scale: both the same).
struct Row {
    int8_t* q;
    float *scale, *sum;
    int32_t *word_start, *group_start;
};

/// How rows of K values lie one after the other.
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

/// `count` values, one scale: the numbers of quant::quantize_activations, to the bit. Sums are those of groups of `group`.
inline void quantize_run(const float* __restrict x, int64_t count, int64_t group, int32_t level, int8_t* __restrict q,
                         float* __restrict scale, float* __restrict sum, int32_t* __restrict start) {
    int32_t most = 0;  // magnitudes are ordered as their bits are
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
    constexpr float kRound = 0x1.8p23f;  // adding it rounds to whole numbers
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

/// A row of x beside weights of the format F.
template <class F>
[[gnu::noinline]] void quantize_row(const float* x, int64_t K, const Layout& layout, const Row& out) {
    constexpr int64_t run = F::kBlock;  // values with one scale
    constexpr int32_t zero = kZeroLevel<F>;
    for (int64_t k = 0, g = 0; k < K; k += run, g = k / kGroup)
        quantize_run(x + k, run, F::kGroup, zero, out.q + k, out.scale + g, out.sum + g, out.group_start + g);
    __builtin_memset(out.q + K, 0, static_cast<size_t>(layout.K - K));
    for (int64_t g = K / kGroup; g < layout.K / kGroup; ++g) out.scale[g] = out.sum[g] = 0, out.group_start[g] = 0;
    for (int64_t k = 0; zero != 0 && k < layout.K / 4; ++k)
        out.word_start[k] = -zero * (out.q[4 * k] + out.q[4 * k + 1] + out.q[4 * k + 2] + out.q[4 * k + 3]);
}

/// Two rows of x for products of matrices: of every 16 bytes the first has the first eight of both, the second the others.
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
