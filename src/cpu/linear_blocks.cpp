// Linear layers on weights in blocks (Q8_0, ...). Rows of x are quantized to 8 bits and multiplied as integers; the exact
// definition is in src/quant/quantize.h. Few rows (decoding) are dot products straight on the blocks, as they are read from
// memory. For many rows, weights are packed into panels of bytes, and integer sums become floats after every group.
//
// Also compiled for instruction sets that add to another one, as VNNI does to AVX-512.
#include "cpu/byte_rows.h"
#include "cpu/epilogue.h"
#include "cpu/gemm.h"

namespace nib::cpu::NIB_ISA {
namespace {

constexpr int64_t kPrefetchBytes = 8192;           // how far ahead weights are prefetched
constexpr int64_t kRowsPerUnit = kMatMul ? 2 : 1;  // rows of x in a unit of packing

struct Product : LinearOperands {
    size_t row_bytes;  // of w
    Layout layout;
    explicit Product(const Call& call) : LinearOperands(call), row_bytes(dtype_bytes(type, K)), layout(K) {}
    const uint8_t* weights(int64_t n) const { return static_cast<const uint8_t*>(w) + static_cast<size_t>(n) * row_bytes; }
};

// ---- few rows --------------------------------------------------------------------------------------------------------

// Bytes v * kBytes ... of a chunk of `count` levels, as add_products() takes them.
template <class F>
[[gnu::always_inline]] inline vi levels_of(const uint8_t* chunk, int v, int64_t count) {
    constexpr int64_t size = sizeof(Levels);  // more than kBytes where vectors are short
    Levels levels;
    vi words;
    F::levels(chunk, static_cast<int>(v * kBytes / size), count - v * kBytes > 32 ? kParts : 1, levels);
    __builtin_memcpy(&words, reinterpret_cast<const char*>(&levels) + v * kBytes % size, sizeof words);
    return F::kSigned ? biased(words) : words;
}

// Dot products of kX rows of x and one row of w, chunk by chunk.
template <class F, int kX>
struct Dots {
    vf sum[kX], below[kX];  // below: the products with offsets, to be subtracted

    Dots() {
        for (int i = 0; i < kX; ++i) sum[i] = below[i] = vf(0.0f);
    }

    // Adds the products of the first `count` values of a chunk of w and values k ... of x.
    [[gnu::always_inline]] inline void add(const uint8_t* chunk, const Row (&x)[kX], int64_t k, int64_t count) {
        float scale[kChunk / kGroup], offset[kChunk / kGroup], unit[kX][kChunk / kGroup];
        F::scales(chunk, static_cast<int>(count / F::kBlock), scale, offset);
#pragma GCC unroll 4
        for (int64_t g = 0; g < kChunk / kGroup; g += kWidth)
#pragma GCC unroll 4
            for (int i = 0; i < kX; ++i) {
                store(unit[i] + g, load(scale + g) * load(x[i].scale + k / kGroup + g));
                if (F::kOffset) below[i] = madd(load(offset + g), load(x[i].sum + k / kGroup + g), below[i]);
            }
#pragma GCC unroll 16
        for (int v = 0; v < kChunk / kBytes; ++v) {
            if (v * kBytes >= count) break;
            const vi levels = levels_of<F>(chunk, v, count);
            const int64_t at = k + v * kBytes;
#pragma GCC unroll 4
            for (int i = 0; i < kX; ++i) {
                const vi start = kZeroLevel<F> != 0 ? load_words(x[i].word_start + at / 4) : broadcast_word(0);
                const vi products = add_products<F::kSigned>(start, levels, load_words(x[i].q + at));
                sum[i] = madd(to_floats(products), spread<F::kGroup>(unit[i], v), sum[i]);
            }
        }
    }
};

template <class F, int kX>
void dot_rows(const Product& p, void* x_rows, int64_t row, int64_t n) {
    Row x[kX];
    for (int i = 0; i < kX; ++i) x[i] = p.layout.row(x_rows, row + i);
    Dots<F, kX> dots;
    const uint8_t* chunk = p.weights(n);
    int64_t k = 0;
    for (; k + kChunk <= p.K; k += kChunk, chunk += F::kBytes) {
#pragma GCC unroll 5
        for (int64_t line = 0; line < F::kBytes; line += 64) __builtin_prefetch(chunk + kPrefetchBytes + line, 0, 3);
        dots.add(chunk, x, k, kChunk);
    }
    if (F::kBlock < kChunk && k < p.K) dots.add(chunk, x, k, p.K - k);
    for (int i = 0; i < kX; ++i)
        p.out[(row + i) * p.N + n] =
            reduce_add(dots.sum[i]) - (F::kOffset ? reduce_add(dots.below[i]) : 0.0f) + (p.bias ? p.bias[n] : 0.0f);
}

template <class F>
void few_rows(const Product& p, int64_t M, Range columns, void* x_rows) {
    for (int64_t n = columns.begin; n < columns.end; ++n) {
        int64_t r = 0;
        for (; r + 4 <= M; r += 4) dot_rows<F, 4>(p, x_rows, r, n);
        for (; r + 2 <= M; r += 2) dot_rows<F, 2>(p, x_rows, r, n);
        if (r < M) dot_rows<F, 1>(p, x_rows, r, n);
    }
}

// ---- many rows -------------------------------------------------------------------------------------------------------

// 12 integer and 12 float sums, where there are 32 registers.
#if defined(__AVX512BW__)
constexpr int kTileRows = 4, kTileVectors = 3;
#elif defined(__aarch64__)
constexpr int kTileRows = 6, kTileVectors = 2;
#else
constexpr int kTileRows = 4, kTileVectors = 1;
#endif
// Where a product takes several instructions GCC would unroll a group only to hold more products than there are registers;
// with short vectors that is still faster.
constexpr int kUnroll = kUnsignedOnly || kWidth == 4 ? 8 : 1;

// kTileVectors * kWidth columns of the weights: words of four bytes (K/4,columns) or, with kMatMul, pairs of words
// (K/8,columns,2), and a scale and an offset for each group of 16 (K/16,columns).
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

// The same with pairs of words: eight bytes of a column, then of the next. Missing columns are left as they are.
[[gnu::noinline]] void pack_pairs(const float* from, int64_t depth, int64_t count, float* to) {
    for (int64_t k = 0; k < depth; k += 2, to += 2 * kTileVectors * kWidth)
        for (int64_t i = 0; i < min<int64_t>(4, count); ++i) __builtin_memcpy(to + 2 * i, from + i * depth + k, 8);
}

// Packs the panel of columns n ..., of which `count` exist. Bytes are moved as floats, four at a time.
template <class F>
void pack_panel(const Product& p, int64_t n, int64_t count, const BytePanel& panel) {
    constexpr int64_t columns = kTileVectors * kWidth, kWords = kChunk / 4, kGroups = kChunk / kGroup;
    float words[4 * kWords], scale[4 * kGroups], offset[4 * kGroups];
    for (int64_t c = 0; c < columns; c += 4)
        for (int64_t k = 0; k < p.layout.K; k += kChunk) {
            for (int64_t i = 0; i < min<int64_t>(4, count - c); ++i) {
                auto* levels = reinterpret_cast<uint8_t*>(words + i * kWords);
                decode_chunk<F>(p.weights(n + c + i) + k / F::kBlock * F::kBlockBytes, min(kChunk, p.K - k), levels,
                                scale + i * kGroups, offset + i * kGroups);
                for (int64_t b = 0; F::kSigned && kUnsignedOnly && b < kChunk; b += kBytes) {
                    const vi v = biased(load_words(levels + b));
                    __builtin_memcpy(levels + b, &v, sizeof v);
                }
            }
            if (kMatMul)
                pack_pairs(words, kWords, count - c, panel.words + k / 4 * columns + 2 * c);
            else
                pack_words(words, kWords, count - c, panel.words + k / 4 * columns + c);
            pack_words(scale, kGroups, count - c, panel.scale + k / kGroup * columns + c);
            if (F::kOffset) pack_words(offset, kGroups, count - c, panel.offset + k / kGroup * columns + c);
        }
}

// Integer products of one group: MR rows of x, from byte k on, by the columns of a panel.
#if defined(__ARM_FEATURE_MATMUL_INT8)
template <class F, int MR>
[[gnu::always_inline]] inline void multiply_group(const Row* x, int64_t k, int64_t row_bytes, const float* words,
                                                  vi (&total)[MR][kTileVectors]) {
    constexpr int kRowPairs = (MR + 1) / 2, kColumnPairs = 2 * kTileVectors;
    vi sum[kRowPairs][kColumnPairs];  // (2,2)
#pragma GCC unroll 4
    for (int i = 0; i < kRowPairs; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < kColumnPairs; ++j) sum[i][j] = broadcast_word(0);
#pragma GCC unroll 4
    for (int64_t step = 0; step < F::kGroup / 8; ++step) {
        vi w[kColumnPairs];
#pragma GCC unroll 4
        for (int j = 0; j < kColumnPairs; ++j) w[j] = load_words(words + (step * kColumnPairs + j) * kWidth);
#pragma GCC unroll 4
        for (int i = 0; i < kRowPairs; ++i) {
            const vi pair = load_words(x[2 * i].q + step % 2 * row_bytes + k + step / 2 * 16);
#pragma GCC unroll 4
            for (int j = 0; j < kColumnPairs; ++j) sum[i][j] = add_matrix(sum[i][j], pair, w[j]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 3
        for (int j = 0; j < kTileVectors; ++j) total[i][j] = matrix_row(i % 2, sum[i / 2][2 * j], sum[i / 2][2 * j + 1]);
}
#else
template <class F, int MR>
[[gnu::always_inline]] inline void multiply_group(const Row* x, int64_t k, int64_t, const float* words,
                                                  vi (&total)[MR][kTileVectors]) {
    constexpr int NV = kTileVectors;
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 3
        for (int j = 0; j < NV; ++j) total[i][j] = broadcast_word(kZeroLevel<F> != 0 ? x[i].group_start[k / kGroup] : 0);
#pragma GCC unroll kUnroll
    for (int64_t step = 0; step < F::kGroup / 4; ++step) {
        vi w[NV];
#pragma GCC unroll 3
        for (int j = 0; j < NV; ++j) w[j] = load_words(words + j * kWidth);
        words += NV * kWidth;
#pragma GCC unroll 8
        for (int i = 0; i < MR; ++i) {
            int32_t word;
            __builtin_memcpy(&word, x[i].q + k + 4 * step, 4);
            const vi values = broadcast_word(word);
#pragma GCC unroll 3
            for (int j = 0; j < NV; ++j) total[i][j] = add_products<F::kSigned>(total[i][j], w[j], values);
        }
    }
}
#endif

// MR rows of x from `row` on by the panel of columns n ..., `nv` vectors, the last with `tail` columns.
template <class F, int MR>
[[gnu::noinline]] void byte_tile(const Product& p, void* x_rows, int64_t row, const BytePanel& panel, int64_t n, int64_t nv,
                                 int64_t tail) {
    constexpr int NV = kTileVectors;
    constexpr int64_t columns = NV * kWidth;
    Row x[MR];
    for (int i = 0; i < MR; ++i) x[i] = p.layout.row(x_rows, row + i);
    vf sum[MR][NV];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 3
        for (int j = 0; j < NV; ++j) sum[i][j] = vf(0.0f);
    const float *scale = panel.scale, *offset = panel.offset;
    for (int64_t k = 0; k < p.K; k += F::kGroup) {
        const int64_t g = k / kGroup;
        vi total[MR][NV];
        multiply_group<F>(x, k, p.layout.bytes(), panel.words + k / 4 * columns, total);
#pragma GCC unroll 3
        for (int j = 0; j < NV; ++j) {
            const vf unit = load(scale + g * columns + j * kWidth);
#pragma GCC unroll 8
            for (int i = 0; i < MR; ++i) sum[i][j] = madd(to_floats(total[i][j]), unit * vf(x[i].scale[g]), sum[i][j]);
            if (!F::kOffset) continue;
            const vf below = load(offset + g * columns + j * kWidth);
#pragma GCC unroll 8
            for (int i = 0; i < MR; ++i) sum[i][j] = nmadd(below, vf(x[i].sum[g]), sum[i][j]);
        }
    }
    vf result[MR][NV];  // a copy, since an array that is indexed by a variable is not kept in registers
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 3
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
        const int64_t count = min(widest, columns.end - n), nv = (count + kWidth - 1) / kWidth;
        const int64_t tail = count - (nv - 1) * kWidth;
        const auto tile = [&]<int MR>(int64_t row) { byte_tile<F, MR>(p, x_rows, row, panel, n, nv, tail); };
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
        for (int64_t r = rows.begin; r < rows.end; ++r) quantize_row<F>(p.x + r * p.K, p.K, p.layout, p.layout.row(to, r));
    });
}

// Whether rows of x are quantized once for all threads. If they are few, each thread quantizes them for itself.
bool packs(const Call& call) { return has_blocks(call) && call.p.B * call.p.T > kFewRows; }

}  // namespace

void linear(const Call& call, Range units, void* scratch) {
    const int64_t M = call.rows();
    if (!has_blocks(call))
        return (call.p.by_columns && M <= NIB_BASE::kFewFloatRows ? NIB_BASE::linear_few_rows : NIB_BASE::linear_many_rows)(
            call, units, scratch);
    const Product p(call);
    void* const x_rows = packs(call) ? const_cast<void*>(call.packed) : scratch;
    void* const rest = packs(call) ? scratch : static_cast<char*>(scratch) + M * p.layout.bytes();
    with_format(call.type[operand::Linear::w], [&]<class F>() {
        if (M <= kFewRows)
            few_rows<F>(p, M, units, x_rows);
        else
            many_rows<F>(p, M, units, x_rows, rest);
    });
    finish(call, {0, M}, units);
}

size_t linear_blocks_scratch_bytes(const Call& call) {
    if (!has_blocks(call)) return 0;
    const Layout layout(call.p.C);
    const int64_t few = min(kFewRows, call.p.B * call.p.T) * layout.bytes();
    return static_cast<size_t>(max(few, BytePanel::bytes(layout.K)));
}

size_t linear_blocks_packed_bytes(const Call& call) {
    return static_cast<size_t>(linear_blocks_pack_units(call) * kRowsPerUnit * Layout(call.p.C).bytes());
}

int64_t linear_blocks_pack_units(const Call& call) {
    return packs(call) ? round_up(call.p.B * call.p.T, kRowsPerUnit) / kRowsPerUnit : 0;
}

// Queries, keys and values are products with the same x.
bool linear_blocks_same_packing(const Call& a, const Call& b) {
    constexpr int x = operand::Linear::x, w = operand::Linear::w;
    return has_blocks(a) && has_blocks(b) && packs(a) && packs(b) && a.data[x] == b.data[x] && a.type[w] == b.type[w] &&
           a.p.C == b.p.C && a.p.B * a.p.T == b.p.B * b.p.T && a.row_count == b.row_count && a.p.first_row == b.p.first_row;
}

void linear_blocks_prepare(const Call& call, void* scratch) {
    if (has_blocks(call) && !packs(call)) quantize_rows(call, {0, call.rows()}, scratch);
}

// With an odd number of rows, the last pair has only one; results of the other row are not used.
void linear_blocks_pack(const Call& call, Range units, void* packed) {
    const Product p(call);
    const Range rows{units.begin * kRowsPerUnit, min(units.end * kRowsPerUnit, call.rows())};
    quantize_rows(call, rows, packed);
    for (int64_t r = rows.begin; kMatMul && call.rows() > kFewRows && r < rows.end; r += kRowsPerUnit)
        pair_rows(p.layout.row(packed, r).q, p.layout.row(packed, r + 1).q, p.layout.K);
}

}  // namespace nib::cpu::NIB_ISA
