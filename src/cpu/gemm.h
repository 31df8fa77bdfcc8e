// Matrix product on packed panels: C = A B, with a register tile of kMR rows by kNV vectors (Goto, van de Geijn 2008;
// BLIS).
//
// B is packed into panels: the columns are divided into groups of at most kNV vectors (Panels), and each group is stored
// row by row, zero-padded to whole vectors, so that the inner loop reads it in order. A is read in place. Each element of C
// is one chain of fused multiply-adds over k in ascending order, in whatever tile it is: results never depend on how rows
// and columns are divided.
#pragma once

#include "cpu/simd.h"
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {

#if defined(__AVX512BW__) || defined(__aarch64__)
constexpr int kMR = 8, kNV = 3;  // 24 sums, 3 of B, 1 of A: 32 registers
#elif defined(__AVX2__)
constexpr int kMR = 4, kNV = 3;  // 12 + 3 + 1: 16 registers
#else
constexpr int kMR = 4, kNV = 2;  // 8 + 2 + 1 and a product, which is not fused
#endif

/// How N columns divide into panels of nearly equal width.
struct Panels {
    int64_t vectors, count;
    explicit Panels(int64_t N) : vectors((N + kWidth - 1) / kWidth), count((vectors + kNV - 1) / kNV) {}
    int64_t first(int64_t panel) const { return vectors * panel / count; }  // in vectors
    int64_t width(int64_t panel) const { return first(panel + 1) - first(panel); }
    int64_t padded() const { return vectors * kWidth; }  // columns with padding
};

/// The left operand: element (i,k) at data[i * row + k * column].
struct Left {
    const float* data;
    int64_t row, column;
};

enum class Start { Zero, Bias, Add };  // C = A B, C = bias + A B, C += A B

/// One tile: rows [0,MR) and NV vectors of which the last has `tail` columns (1..kWidth).
template <int MR, int NV>
[[gnu::always_inline]] inline void tile(int64_t K, Left a, const float* b, float* c, int64_t ldc, const float* bias,
                                        Start start, int64_t tail) {
    vf sum[MR][NV];
    const bool whole = tail == kWidth;
    const float* from = start == Start::Add ? c : bias;
    const int64_t step = start == Start::Add ? ldc : 0;
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) {
            if (start == Start::Zero)
                sum[i][j] = vf(0.0f);
            else if (j == NV - 1 && !whole)
                sum[i][j] = load_tail(from + i * step + j * kWidth, tail);
            else
                sum[i][j] = load(from + i * step + j * kWidth);
        }
    for (int64_t k = 0; k < K; ++k) {
        vf right[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) right[j] = vf::load_unaligned(b + j * kWidth);
        b += NV * kWidth;
#pragma GCC unroll 8
        for (int i = 0; i < MR; ++i) {
            const vf left(a.data[i * a.row]);
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) sum[i][j] = madd(left, right[j], sum[i][j]);
        }
        a.data += a.column;
    }
    vf result[MR][NV];  // a copy, since an array that is indexed by a variable is not kept in registers
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) result[i][j] = sum[i][j];
    for (int i = 0; i < MR; ++i)
        for (int j = 0; j < NV; ++j) {
            float* to = c + i * ldc + j * kWidth;
            if (j == NV - 1 && !whole)
                store_tail(to, result[i][j], tail);
            else
                store(to, result[i][j]);
        }
}

/// Out-of-line copies of the tile, one per shape, so that each is compiled once per kernel file.
template <int MR, int NV, bool kRowMajor>
[[gnu::noinline]] void tile_function(int64_t K, const Left& a, const float* b, float* c, int64_t ldc, const float* bias,
                                     Start start, int64_t tail) {
    if (kRowMajor)
        tile<MR, NV>(K, Left{a.data, a.row, 1}, b, c, ldc, bias, start, tail);
    else
        tile<MR, NV>(K, Left{a.data, 1, a.column}, b, c, ldc, bias, start, tail);
}

template <int MR, bool kRowMajor>
[[gnu::always_inline]] inline void tile_width(int64_t nv, int64_t K, const Left& a, const float* b, float* c, int64_t ldc,
                                              const float* bias, Start start, int64_t tail) {
    if (nv == 1)
        tile_function<MR, 1, kRowMajor>(K, a, b, c, ldc, bias, start, tail);
    else if (nv == 2)
        tile_function<MR, 2, kRowMajor>(K, a, b, c, ldc, bias, start, tail);
    else if constexpr (kNV >= 3)
        tile_function<MR, 3, kRowMajor>(K, a, b, c, ldc, bias, start, tail);
}

/// M rows of C for the columns of one panel. `columns` of C are left from the panel's first on (its last vector may be
/// partial). Rows beyond the last whole tile take smaller tiles.
template <bool kRowMajor>
inline void panel_product(int64_t M, int64_t K, Left a, const float* b, int64_t nv, int64_t columns, float* c, int64_t ldc,
                          const float* bias, Start start) {
    const int64_t tail = columns >= nv * kWidth ? kWidth : columns - (nv - 1) * kWidth;
    int64_t i = 0;
    const auto at = [&](int64_t row) __attribute__((always_inline)) { return Left{a.data + row * a.row, a.row, a.column}; };
    for (; i + kMR <= M; i += kMR) tile_width<kMR, kRowMajor>(nv, K, at(i), b, c + i * ldc, ldc, bias, start, tail);
    if constexpr (kMR > 4)
        for (; i + 4 <= M; i += 4) tile_width<4, kRowMajor>(nv, K, at(i), b, c + i * ldc, ldc, bias, start, tail);
    for (; i + 2 <= M; i += 2) tile_width<2, kRowMajor>(nv, K, at(i), b, c + i * ldc, ldc, bias, start, tail);
    for (; i < M; ++i) tile_width<1, kRowMajor>(nv, K, at(i), b, c + i * ldc, ldc, bias, start, tail);
}

/// C (M,N) = A (M,K) B (K,N) with all panels of B, each `rows_packed` rows deep of which [k0, k0 + K) are used.
/// Only the panels that hold columns from `begin` to `columns` are computed.
template <bool kRowMajor>
inline void product(int64_t M, int64_t N, int64_t K, Left a, const float* packed, int64_t rows_packed, int64_t k0, float* c,
                    int64_t ldc, const float* bias, Start start, int64_t columns, int64_t begin = 0) {
    const Panels panels(N);
    for (int64_t p = 0; p < panels.count; ++p) {
        const int64_t first = panels.first(p), nv = panels.width(p), at = first * kWidth;
        if (at >= columns) break;
        if (at + nv * kWidth <= begin) continue;
        panel_product<kRowMajor>(M, K, a, packed + at * rows_packed + k0 * nv * kWidth, nv, N - at, c + at, ldc,
                                 bias ? bias + at : bias, start);
    }
}

/// Packs rows [0,K) of a panel: `nv` vectors of which `columns` columns exist, element (k,n) at source[k * ld + n]. T is
/// float or another type that has a load().
template <class T>
inline void pack_panel(const T* source, int64_t ld, int64_t K, int64_t nv, int64_t columns, float* panel) {
    const int64_t width = nv * kWidth;
    if (columns >= width) {
        for (int64_t k = 0; k < K; ++k)
            for (int64_t j = 0; j < nv; ++j) store(panel + k * width + j * kWidth, load(source + k * ld + j * kWidth));
        return;
    }
    const int64_t tail = columns - (nv - 1) * kWidth;
    for (int64_t k = 0; k < K; ++k) {
        for (int64_t j = 0; j < nv - 1; ++j) store(panel + k * width + j * kWidth, load(source + k * ld + j * kWidth));
        store(panel + k * width + (nv - 1) * kWidth, load_tail(source + k * ld + (nv - 1) * kWidth, tail));
    }
}

/// Transposes a 4x4 block: target[k * step + i] = source[i * ld + k].
[[gnu::always_inline]] inline void transpose_4x4(const float* source, int64_t ld, float* target, int64_t step) {
#if defined(__x86_64__)
    __m128 a = _mm_loadu_ps(source), b = _mm_loadu_ps(source + ld), c = _mm_loadu_ps(source + 2 * ld),
           d = _mm_loadu_ps(source + 3 * ld);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(target, a);
    _mm_storeu_ps(target + step, b);
    _mm_storeu_ps(target + 2 * step, c);
    _mm_storeu_ps(target + 3 * step, d);
#else
    for (int i = 0; i < 4; ++i)
        for (int k = 0; k < 4; ++k) target[k * step + i] = source[i * ld + k];
#endif
}

/// Four columns of a panel of `width`, of which the first `count` exist: element (k,n) is source[n * ld + k].
inline void pack_four_columns(const float* source, int64_t ld, int64_t K, int64_t count, int64_t width, float* panel) {
    int64_t k = 0;
    if (count >= 4)
        for (; k + 4 <= K; k += 4) transpose_4x4(source + k, ld, panel + k * width, width);
    for (; k < K; ++k)
        for (int64_t n = 0; n < 4; ++n) panel[k * width + n] = n < count ? source[n * ld + k] : 0.0f;
}

template <class T>
inline void pack_four_columns(const T* source, int64_t ld, int64_t K, int64_t count, int64_t width, float* panel) {
    constexpr int64_t kPart = 64;
    float rows[4 * kPart];
    for (int64_t k = 0; k < K; k += kPart) {
        const int64_t depth = min(kPart, K - k);
        for (int64_t n = 0; n < min<int64_t>(4, count); ++n)
            for_each_vector(
                depth, [&](int64_t i, auto get, auto put) { put(rows + n * kPart + i, get(source + n * ld + k + i)); });
        pack_four_columns(rows, kPart, depth, count, width, panel + k * width);
    }
}

/// A panel from a transposed source: element (k,n) at source[n * ld + k].
template <class T>
inline void pack_panel_transposed(const T* source, int64_t ld, int64_t K, int64_t nv, int64_t columns, float* panel) {
    const int64_t width = nv * kWidth;
    for (int64_t n = 0; n < width; n += 4) pack_four_columns(source + n * ld, ld, K, columns - n, width, panel + n);
}

/// Packs all panels of B (K,N) from a plain or transposed source.
template <class T>
inline void pack_all(bool transposed, const T* source, int64_t ld, int64_t K, int64_t N, float* packed) {
    const Panels panels(N);
    for (int64_t p = 0; p < panels.count; ++p) {
        const int64_t at = panels.first(p) * kWidth;
        if (transposed)
            pack_panel_transposed(source + at * ld, ld, K, panels.width(p), N - at, packed + at * K);
        else
            pack_panel(source + at, ld, K, panels.width(p), N - at, packed + at * K);
    }
}

}  // namespace nib::cpu::NIB_ISA
