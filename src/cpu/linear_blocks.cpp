// Linear layers on weights in blocks (Q8_0, ...). Rows of x are quantized to 8 bits and multiplied as integers; the
// contract is in src/ref/quantize.h. Few rows (decoding) are dot products straight on the weights, row by row, as they are
// read from memory. For many rows, weights become panels of bytes, of which a tile's sums of one group make one float each.
//
// Compiled also for instruction sets that add to another one, such as VNNI to AVX-512.
#include "cpu/byte_rows.h"
#include "cpu/epilogue.h"
#include "cpu/formats.h"
#include "cpu/gemm.h"

namespace nib::cpu::NIB_ISA {
namespace {

constexpr int64_t kWeights = 4;   // rows of w that are taken together
constexpr int64_t kAhead = 8192;  // bytes: how far ahead memory is asked for weights

constexpr int64_t kTogether = kMatrices ? 2 : 1;  // rows of x that are packed together

struct Product : LinearOperands {
    size_t row_bytes;  // of w
    Layout layout;
    explicit Product(const Call& call) : LinearOperands(call), row_bytes(dtype_bytes(type, K)), layout(K) {}
    const uint8_t* weights(int64_t n) const { return static_cast<const uint8_t*>(w) + static_cast<size_t>(n) * row_bytes; }
};

// ---- few rows --------------------------------------------------------------------------------------------------------

// A row of w; its offsets stand in `sum`.
template <class F>
void decode_row(const uint8_t* row, int64_t K, const Row& out) {
    for (int64_t k = 0; k < K; k += kChunk, row += F::kBytes) {
#pragma GCC unroll 5
        for (int64_t line = 0; line < F::kBytes; line += 64) __builtin_prefetch(row + kAhead + line, 0, 3);
        decode_chunk<F>(row, least(kChunk, K - k), out.q + k, out.scale + k / kGroup, out.sum + k / kGroup);
    }
}

// kX rows of x by kW decoded rows of w, which are rows n ... of the matrix.
template <bool kOffset, int kX, int kW>
void dot_rows(const Product& p, void* x_rows, void* w_rows, int64_t row, int64_t n) {
    vf sum[kX][kW], below[kX][kW];
    Row x[kX], w[kW];
    for (int i = 0; i < kX; ++i) x[i] = p.layout.row(x_rows, row + i);
    for (int j = 0; j < kW; ++j) w[j] = p.layout.row(w_rows, j);
    for (int i = 0; i < kX; ++i)
        for (int j = 0; j < kW; ++j) sum[i][j] = below[i][j] = vf(0.0f);
    const int64_t K = round_up(p.K, kBytes);  // beyond it a row is zero
    for (int64_t k = 0; k < K; k += kBytes)
        for (int j = 0; j < kW; ++j) {
            const vi levels = biased(load_words(w[j].q + k));
            for (int i = 0; i < kX; ++i) {
                const vi start = kBiased ? load_words(x[i].minus_fours + k / 4) : broadcast_word(0);
                sum[i][j] = madd(to_floats(add_products(start, levels, load_words(x[i].q + k))),
                                 spread_product(w[j].scale + k / kGroup, x[i].scale + k / kGroup), sum[i][j]);
            }
        }
    if (kOffset)
        for (int64_t g = 0; g < p.layout.K / kGroup; g += kWidth)
            for (int j = 0; j < kW; ++j)
                for (int i = 0; i < kX; ++i) below[i][j] = madd(load(w[j].sum + g), load(x[i].sum + g), below[i][j]);
    for (int i = 0; i < kX; ++i)
        for (int j = 0; j < kW; ++j)
            p.out[(row + i) * p.N + n + j] =
                reduce_add(sum[i][j]) - (kOffset ? reduce_add(below[i][j]) : 0.0f) + (p.bias ? p.bias[n + j] : 0.0f);
}

template <bool kOffset, int kX>
void dot_rows(const Product& p, void* x_rows, void* w_rows, int64_t row, int64_t n, int64_t count) {
    if (count == kWeights) return dot_rows<kOffset, kX, kWeights>(p, x_rows, w_rows, row, n);
    for (int64_t j = 0; j < count; ++j)
        dot_rows<kOffset, kX, 1>(p, x_rows, static_cast<char*>(w_rows) + j * p.layout.bytes(), row, n + j);
}

template <class F>
void few_rows(const Product& p, int64_t M, Range columns, void* x_rows, void* w_rows) {
    for (int64_t n = columns.begin; n < columns.end; n += kWeights) {
        const int64_t count = least(kWeights, columns.end - n);
        for (int64_t j = 0; j < count; ++j) decode_row<F>(p.weights(n + j), p.K, p.layout.row(w_rows, j));
        int64_t r = 0;
        for (; r + 2 <= M; r += 2) dot_rows<F::kOffset, 2>(p, x_rows, w_rows, r, n, count);
        for (; r < M; ++r) dot_rows<F::kOffset, 1>(p, x_rows, w_rows, r, n, count);
    }
}

// ---- many rows -------------------------------------------------------------------------------------------------------

#if defined(__AVX512BW__) || defined(__aarch64__)
constexpr int kTileRows = 6, kTileVectors = 2;  // 12 sums of integers, 12 of floats: 32 registers
#else
constexpr int kTileRows = 4, kTileVectors = 1;
#endif

// kTileVectors * kWidth columns of the product: words of four bytes (K/4,columns) or, where kMatrices, pairs of them
// (K/8,columns,2), and for each group of 16 a scale and an offset (K/16,columns).
struct BytePanel {
    float *words, *scale, *offset;
    BytePanel(void* memory, int64_t K) : words(static_cast<float*>(memory)) {
        constexpr int64_t columns = kTileVectors * kWidth;
        scale = words + K / 4 * columns;
        offset = scale + K / kGroup * columns;
    }
    static int64_t bytes(int64_t K) { return (K / 4 + K / kGroup * 2) * kTileVectors * kWidth * 4; }
};

[[gnu::noinline]] void pack_words(const float* from, int64_t depth, int64_t count, float* to) {
    pack_four_columns(from, depth, depth, count, kTileVectors * kWidth, to);
}

// The same by twos: eight bytes of a column, then of the next. Columns that do not exist are left as they are.
[[gnu::noinline]] void pack_pairs(const float* from, int64_t depth, int64_t count, float* to) {
    for (int64_t k = 0; k < depth; k += 2, to += 2 * kTileVectors * kWidth)
        for (int64_t i = 0; i < least<int64_t>(4, count); ++i) __builtin_memcpy(to + 2 * i, from + i * depth + k, 8);
}

// The panel of columns n ... of which `count` exist. Bytes move as floats, by fours.
template <class F>
void pack_panel(const Product& p, int64_t n, int64_t count, const BytePanel& panel) {
    constexpr int64_t columns = kTileVectors * kWidth, kWords = kChunk / 4, kGroups = kChunk / kGroup;
    float words[4 * kWords], scale[4 * kGroups], offset[4 * kGroups];
    for (int64_t c = 0; c < columns; c += 4)
        for (int64_t k = 0; k < p.layout.K; k += kChunk) {
            for (int64_t i = 0; i < least<int64_t>(4, count - c); ++i) {
                auto* q = reinterpret_cast<int8_t*>(words + i * kWords);
                decode_chunk<F>(p.weights(n + c + i) + k / F::kBlock * F::kBlockBytes, least(kChunk, p.K - k), q,
                                scale + i * kGroups, offset + i * kGroups);
                for (int64_t b = 0; kBiased && b < kChunk; b += kBytes) {
                    const vi v = biased(load_words(q + b));
                    __builtin_memcpy(q + b, &v, sizeof v);
                }
            }
            if (kMatrices)
                pack_pairs(words, kWords, count - c, panel.words + k / 4 * columns + 2 * c);
            else
                pack_words(words, kWords, count - c, panel.words + k / 4 * columns + c);
            pack_words(scale, kGroups, count - c, panel.scale + k / kGroup * columns + c);
            if (F::kOffset) pack_words(offset, kGroups, count - c, panel.offset + k / kGroup * columns + c);
        }
}

// Sums of the products of a group's bytes, MR rows of x from byte k on by the columns of a panel.
#if defined(__ARM_FEATURE_MATMUL_INT8)
template <int64_t group, int MR>
[[gnu::always_inline]] inline void multiply_group(const Row* x, int64_t k, int64_t row_bytes, const float* words,
                                                  vi (&total)[MR][kTileVectors]) {
    constexpr int kRowPairs = (MR + 1) / 2, kColumnPairs = 2 * kTileVectors;
    vi sum[kRowPairs][kColumnPairs];  // (2,2)
#pragma GCC unroll 4
    for (int i = 0; i < kRowPairs; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < kColumnPairs; ++j) sum[i][j] = broadcast_word(0);
#pragma GCC unroll 4
    for (int64_t eight = 0; eight < group / 8; ++eight) {
        vi w[kColumnPairs];
#pragma GCC unroll 4
        for (int j = 0; j < kColumnPairs; ++j) w[j] = load_words(words + (eight * kColumnPairs + j) * kWidth);
#pragma GCC unroll 4
        for (int i = 0; i < kRowPairs; ++i) {
            const vi pair = load_words(x[2 * i].q + eight % 2 * row_bytes + k + eight / 2 * 16);
#pragma GCC unroll 4
            for (int j = 0; j < kColumnPairs; ++j) sum[i][j] = add_matrix(sum[i][j], pair, w[j]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
        for (int j = 0; j < kTileVectors; ++j) total[i][j] = matrix_row(i % 2, sum[i / 2][2 * j], sum[i / 2][2 * j + 1]);
}
#else
template <int64_t group, int MR>
[[gnu::always_inline]] inline void multiply_group(const Row* x, int64_t k, int64_t, const float* words,
                                                  vi (&total)[MR][kTileVectors]) {
    constexpr int NV = kTileVectors;
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) total[i][j] = broadcast_word(kBiased ? x[i].minus_group[k / kGroup] : 0);
    for (int64_t four = 0; four < group / 4; ++four) {
        vi w[NV];
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) w[j] = load_words(words + j * kWidth);
        words += NV * kWidth;
#pragma GCC unroll 8
        for (int i = 0; i < MR; ++i) {
            int32_t word;
            __builtin_memcpy(&word, x[i].q + k + 4 * four, 4);
            const vi values = broadcast_word(word);
#pragma GCC unroll 2
            for (int j = 0; j < NV; ++j) total[i][j] = add_products(total[i][j], w[j], values);
        }
    }
}
#endif

// MR rows of x from `row` on by one panel, whose columns are n ...: `tail` of the last vector's exist.
template <bool kOffset, int64_t group, int MR>
[[gnu::noinline]] void byte_tile(const Product& p, void* x_rows, int64_t row, const BytePanel& panel, int64_t n, int64_t nv,
                                 int64_t tail) {
    constexpr int NV = kTileVectors;
    constexpr int64_t columns = NV * kWidth;
    Row x[MR];
    for (int i = 0; i < MR; ++i) x[i] = p.layout.row(x_rows, row + i);
    vf sum[MR][NV];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) sum[i][j] = vf(0.0f);
    const float *scale = panel.scale, *offset = panel.offset;
    for (int64_t k = 0; k < p.layout.K; k += group) {
        const int64_t g = k / kGroup;
        vi total[MR][NV];
        multiply_group<group>(x, k, p.layout.bytes(), panel.words + k / 4 * columns, total);
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) {
            const vf unit = load(scale + g * columns + j * kWidth);
#pragma GCC unroll 8
            for (int i = 0; i < MR; ++i) sum[i][j] = madd(to_floats(total[i][j]), unit * vf(x[i].scale[g]), sum[i][j]);
            if (!kOffset) continue;
            const vf below = load(offset + g * columns + j * kWidth);
#pragma GCC unroll 8
            for (int i = 0; i < MR; ++i) sum[i][j] = nmadd(below, vf(x[i].sum[g]), sum[i][j]);
        }
    }
    vf result[MR][NV];  // a copy, since what is indexed by a variable lives in memory
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) result[i][j] = sum[i][j];
    for (int i = 0; i < MR; ++i)
        for (int j = 0; j < nv; ++j) {
            float* to = p.out + (row + i) * p.N + n + j * kWidth;
            const float* bias = p.bias ? p.bias + n + j * kWidth : nullptr;
            if (j == nv - 1 && tail < kWidth)
                store_tail(to, bias ? result[i][j] + load_tail(bias, tail) : result[i][j], tail);
            else
                store(to, bias ? result[i][j] + load(bias) : result[i][j]);
        }
}

template <class F>
void many_rows(const Product& p, int64_t M, Range columns, void* x_rows, void* scratch) {
    const BytePanel panel(scratch, p.layout.K);
    constexpr int64_t widest = kTileVectors * kWidth;
    for (int64_t n = columns.begin; n < columns.end; n += widest) {
        const int64_t count = least(widest, columns.end - n), nv = (count + kWidth - 1) / kWidth;
        const int64_t tail = count - (nv - 1) * kWidth;
        const auto tile = [&]<int MR>(int64_t row) {
            byte_tile<F::kOffset, F::kGroup, MR>(p, x_rows, row, panel, n, nv, tail);
        };
        pack_panel<F>(p, n, count, panel);
        int64_t r = 0;
        for (; r + kTileRows <= M; r += kTileRows) tile.template operator()<kTileRows>(r);
        for (; r + 2 <= M; r += 2) tile.template operator()<2>(r);
        for (; r < M; ++r) tile.template operator()<1>(r);
    }
}

bool has_blocks(const Call& call) {
    return call.op == Op::Linear && dtype_info(call.type[operand::Linear::w])->block_size > 1;
}

void quantize_rows(const Call& call, Range rows, void* to) {
    const Product p(call);
    with_format(call.type[operand::Linear::w], [&]<class F>() {
        for (int64_t r = rows.begin; r < rows.end; ++r)
            quantize_row<F::kBlock, F::kGroup>(p.x + r * p.K, p.K, p.layout, p.layout.row(to, r));
    });
}

// Whether rows of x are quantized once for all threads; a few each thread quantizes for itself.
bool packs(const Call& call) { return has_blocks(call) && call.p.B * call.p.T > kFewRows; }

}  // namespace

void linear(const Call& call, Range units, void* scratch) {
    const int64_t M = call.rows();
    if (!has_blocks(call))
        return (call.p.by_columns && M <= kFewRows ? NIB_BASE::linear_few_rows : NIB_BASE::linear_many_rows)(call, units,
                                                                                                             scratch);
    const Product p(call);
    void* const x_rows = packs(call) ? const_cast<void*>(call.packed) : scratch;
    void* const rest = packs(call) ? scratch : static_cast<char*>(scratch) + M * p.layout.bytes();
    with_format(call.type[operand::Linear::w],
                [&]<class F>() { (M <= kFewRows ? few_rows<F> : many_rows<F>)(p, M, units, x_rows, rest); });
    finish(call, {0, M}, units);
}

size_t linear_blocks_scratch_bytes(const Call& call) {
    if (!has_blocks(call)) return 0;
    const Layout layout(call.p.C);
    const int64_t few = (least(kFewRows, call.p.B * call.p.T) + kWeights) * layout.bytes();
    return static_cast<size_t>(largest(few, BytePanel::bytes(layout.K)));
}

size_t linear_blocks_packed_bytes(const Call& call) {
    return static_cast<size_t>(linear_blocks_pack_units(call) * kTogether * Layout(call.p.C).bytes());
}

int64_t linear_blocks_pack_units(const Call& call) {
    return packs(call) ? round_up(call.p.B * call.p.T, kTogether) / kTogether : 0;
}

void linear_blocks_prepare(const Call& call, void* scratch) {
    if (has_blocks(call) && !packs(call)) quantize_rows(call, {0, call.rows()}, scratch);
}

// Where many rows are paired the last may be alone: nothing is made of what the other holds.
void linear_blocks_pack(const Call& call, Range units, void* packed) {
    const Product p(call);
    const Range rows{units.begin * kTogether, least(units.end * kTogether, call.rows())};
    quantize_rows(call, rows, packed);
    for (int64_t r = rows.begin; kMatrices && call.rows() > kFewRows && r < rows.end; r += kTogether)
        pair_rows(p.layout.row(packed, r).q, p.layout.row(packed, r + 1).q, p.layout.K);
}

}  // namespace nib::cpu::NIB_ISA
