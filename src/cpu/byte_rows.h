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

/// Quantizes a row of K values for products with weights of format F, bit for bit as quant::quantize_activations.
template <class F>
[[gnu::noinline]] void quantize_row(const float* __restrict x, int64_t K, const Layout& layout, const Row& out) {
    constexpr int64_t run = F::kBlock, groups = run / kGroup;  // values quantized with one scale
    constexpr int32_t zero = kZeroLevel<F>;
    int8_t* __restrict q = out.q;
    for (int64_t k = 0; k < K; k += run) {
        int32_t most = 0;  // magnitudes compare like their bits
        for (int64_t i = 0; i < run; ++i) {
            int32_t bits;
            __builtin_memcpy(&bits, x + k + i, 4);
            bits &= 0x7FFFFFFF;
            most = bits > most ? bits : most;
        }
        float amax;
        __builtin_memcpy(&amax, &most, 4);
        const bool finite = most < 0x7F800000, none = amax < 0x1p-100f;
        const float unit = finite ? none ? 0.0f : amax / 127 : __builtin_nanf("");
        const float inverse = none || !finite ? 0.0f : 127 / amax;
        constexpr float kRound = 0x1.8p23f;  // adding it rounds to an integer, which is in the low bits then
        if (finite)
            for (int64_t i = 0; i < run; ++i) {
                const float rounded = x[k + i] * inverse + kRound;
                int32_t bits;
                __builtin_memcpy(&bits, &rounded, 4);
                q[k + i] = static_cast<int8_t>(bits);
            }
        else
            __builtin_memset(q + k, 0, static_cast<size_t>(run));
        for (int64_t g = 0; g < groups; ++g) out.scale[k / kGroup + g] = unit;
    }
    __builtin_memset(q + K, 0, static_cast<size_t>(layout.K - K));
    for (int64_t g = K / kGroup; g < layout.K / kGroup; ++g) out.scale[g] = 0;
    int32_t* __restrict words = out.word_start;
    for (int64_t k = 0; k < layout.K; k += kBytes) {  // sums of four
        const vi four = add_products<false>(broadcast_word(0), broadcast_word(0x01010101), load_words(q + k));
        __builtin_memcpy(words + k / 4, &four, sizeof four);
    }
    constexpr int64_t step = F::kGroup / kGroup;
    for (int64_t g = 0; g < layout.K / kGroup; g += step) {
        int32_t total = 0;
        for (int64_t i = 0; i < 4 * step; ++i) total += words[4 * g + i];
        out.group_start[g] = -zero * total;
        out.sum[g] = out.scale[g] * static_cast<float>(total);
        if (step == 2) out.group_start[g + 1] = 0, out.sum[g + 1] = out.scale[g] * 0;
    }
    for (int64_t k = 0; zero != 0 && k < layout.K / 4; ++k) words[k] *= -zero;
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
