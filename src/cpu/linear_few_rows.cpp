// Linear layers of few rows (decoding): dot products straight on the weights, which are read from memory once, in their own
// format. Beside weights in blocks, rows of x are quantized to 8 bits first and the products summed as integers; the
// contract is in src/ref/quantize.h. Compiled also for instruction sets that add to another one, such as VNNI to AVX-512.
#include "cpu/epilogue.h"
#include "cpu/formats.h"
#include "cpu/int8.h"

namespace nib::cpu::NIB_ISA {
namespace {

constexpr int64_t kChunk = 256;     // quantized rows are padded with zeros to multiples of this
constexpr int64_t kWeights = 4;     // rows of w that are taken together
constexpr int64_t kBlockRows = 16;  // rows of w that stay in the cache for all rows of x

struct Product {
    const float* x;
    const void* w;
    const float* bias;
    float* out;
    int64_t K, N;
    DType type;
    explicit Product(const Call& call)
        : x(call.input<float>(0)),
          w(call.in[1]),
          bias(call.input<float>(2)),
          out(call.out[1] ? call.output<float>(1) : call.output<float>(0)),
          K(call.p.C),
          N(call.p.N),
          type(call.p.type) {}
    void put(int64_t row, int64_t n, float sum) const { out[row * N + n] = sum + (bias ? bias[n] : 0.0f); }
};

// ---- weights that are numbers: float, half, bfloat -------------------------------------------------------------------

// kX rows of x by kW rows of w.
template <class T, int kX, int kW>
void dot_block(const Product& p, int64_t row, int64_t n) {
    const float* x = p.x + row * p.K;
    const T* w = static_cast<const T*>(p.w) + n * p.K;
    vf sum[kX][kW];
    for (int i = 0; i < kX; ++i)
        for (int j = 0; j < kW; ++j) sum[i][j] = vf(0.0f);
    for_each_vector(
        p.K, [&](int64_t k, auto get, auto) __attribute__((always_inline)) {
            vf left[kX];
            for (int i = 0; i < kX; ++i) left[i] = get(x + i * p.K + k);
            for (int j = 0; j < kW; ++j) {
                const vf right = get(w + j * p.K + k);
                for (int i = 0; i < kX; ++i) sum[i][j] = madd(left[i], right, sum[i][j]);
            }
        });
    for (int i = 0; i < kX; ++i)
        for (int j = 0; j < kW; ++j) p.put(row + i, n + j, reduce_add(sum[i][j]));
}

template <class T, int kX>
void dot_rows(const Product& p, int64_t row, Range columns) {
    int64_t n = columns.begin;
    for (; n + kWeights <= columns.end; n += kWeights) dot_block<T, kX, kWeights>(p, row, n);
    for (; n < columns.end; ++n) dot_block<T, kX, 1>(p, row, n);
}

template <class T>
void dot_numbers(const Product& p, int64_t M, Range columns) {
    for (int64_t n = columns.begin; n < columns.end; n += kBlockRows) {
        const Range block{n, least(n + kBlockRows, columns.end)};
        int64_t r = 0;
        for (; r + 4 <= M; r += 4) dot_rows<T, 4>(p, r, block);
        for (; r < M; ++r) dot_rows<T, 1>(p, r, block);
    }
}

// ---- weights in blocks -----------------------------------------------------------------------------------------------

// A row as signed bytes: value i is scale[i / 16] * q[i]. Of x also what goes with a row of w: sum[g] is the sum of the
// values of group g, for offsets, and bias belongs to dot_fours.
struct Bytes {
    int8_t* q;
    float *scale, *sum;
    int32_t* bias;
};

// Where rows of x and of w lie in the scratch memory, K rounded up to whole chunks.
struct Layout {
    int64_t K;
    explicit Layout(int64_t K_) : K(round_up(K_, kChunk)) {}
    int64_t row_bytes() const { return K + K / 16 * 4 * 2 + K; }
    Bytes row(void* scratch, int64_t i) const {
        char* at = static_cast<char*>(scratch) + i * row_bytes();
        auto* scale = reinterpret_cast<float*>(at + K);
        return {reinterpret_cast<int8_t*>(at), scale, scale + K / 16, reinterpret_cast<int32_t*>(scale + K / 8)};
    }
};

// `count` values, one scale: the numbers of ref::quantize_activations, to the bit.
void quantize_run(const float* x, int64_t count, int8_t* q, float* scale, float* sum) {
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
    const float unit = !finite ? __builtin_nanf("")
                       : zero  ? 0.0f
                               : amax / 127,
                inverse = zero || !finite ? 0.0f : 127 / amax;
    constexpr float kRound = 0x1.8p23f;  // adding it rounds to whole numbers
    if (finite)
        for (int64_t i = 0; i < count; ++i) q[i] = static_cast<int8_t>((x[i] * inverse + kRound) - kRound);
    else
        __builtin_memset(q, 0, static_cast<size_t>(count));
    for (int64_t g = 0; g < count / 16; ++g) {
        int32_t total = 0;
        for (int64_t i = 0; i < 16; ++i) total += q[16 * g + i];
        scale[g] = unit;
        sum[g] = unit * static_cast<float>(total);
    }
}

void quantize_row(const float* x, int64_t K, int64_t run, const Layout& layout, const Bytes& out) {
    for (int64_t k = 0; k < K; k += run) quantize_run(x + k, run, out.q + k, out.scale + k / 16, out.sum + k / 16);
    __builtin_memset(out.q + K, 0, static_cast<size_t>(layout.K - K));
    for (int64_t g = K / 16; g < layout.K / 16; ++g) out.scale[g] = out.sum[g] = 0;
    if (kBiased)
        for (int64_t k = 0; k < layout.K / 4; ++k)
            out.bias[k] = -128 * (out.q[4 * k] + out.q[4 * k + 1] + out.q[4 * k + 2] + out.q[4 * k + 3]);
}

// A row of w; its offsets stand in `sum`. Meanwhile the memory fetches what is decoded after the next products.
template <class F>
void decode_row(const uint8_t* row, int64_t K, const Bytes& out) {
    const int64_t ahead = kWeights * (K / F::kBlock) * F::kBlockBytes;
    for (int64_t k = 0; k < K; k += kChunk, row += F::kBytes) {
#pragma GCC unroll 5
        for (int64_t line = 0; line < F::kBytes; line += 64) __builtin_prefetch(row + ahead + line, 0, 3);
        decode_chunk<F>(row, least(kChunk, K - k), out.q + k, out.scale + k / 16, out.sum + k / 16);
    }
}

template <bool kOffset, int kX, int kW>
void dot_bytes(const Product& p, const Layout& layout, void* x_rows, void* w_rows, int64_t row, int64_t n) {
    vf sum[kX][kW], below[kX][kW];
    Bytes x[kX], w[kW];
    for (int i = 0; i < kX; ++i) x[i] = layout.row(x_rows, row + i);
    for (int j = 0; j < kW; ++j) w[j] = layout.row(w_rows, j);
    for (int i = 0; i < kX; ++i)
        for (int j = 0; j < kW; ++j) sum[i][j] = below[i][j] = vf(0.0f);
    for (int64_t k = 0; k < layout.K; k += kBytes)
        for (int j = 0; j < kW; ++j)
            for (int i = 0; i < kX; ++i)
                sum[i][j] = madd(dot_fours(w[j].q + k, x[i].q + k, x[i].bias + k / 4),
                                 spread_product(w[j].scale + k / 16, x[i].scale + k / 16), sum[i][j]);
    if (kOffset)
        for (int64_t g = 0; g < layout.K / 16; g += kWidth)
            for (int j = 0; j < kW; ++j)
                for (int i = 0; i < kX; ++i) below[i][j] = madd(load(w[j].sum + g), load(x[i].sum + g), below[i][j]);
    for (int i = 0; i < kX; ++i)
        for (int j = 0; j < kW; ++j)
            p.put(row + i, n + j, reduce_add(sum[i][j]) - (kOffset ? reduce_add(below[i][j]) : 0.0f));
}

template <bool kOffset, int kX>
void dot_bytes(const Product& p, const Layout& layout, void* x_rows, void* w_rows, int64_t row, int64_t n, int64_t count) {
    if (count == kWeights) return dot_bytes<kOffset, kX, kWeights>(p, layout, x_rows, w_rows, row, n);
    for (int64_t j = 0; j < count; ++j) {
        char* one = static_cast<char*>(w_rows) + j * layout.row_bytes();
        dot_bytes<kOffset, kX, 1>(p, layout, x_rows, one, row, n + j);
    }
}

template <class F>
void dot_blocks(const Product& p, int64_t M, Range columns, void* scratch) {
    const Layout layout(p.K);
    char* const w_rows = static_cast<char*>(scratch) + M * layout.row_bytes();
    for (int64_t r = 0; r < M; ++r) quantize_row(p.x + r * p.K, p.K, F::kBlock, layout, layout.row(scratch, r));
    for (int64_t n = columns.begin; n < columns.end; n += kWeights) {
        const int64_t count = least(kWeights, columns.end - n);
        for (int64_t j = 0; j < count; ++j)
            decode_row<F>(static_cast<const uint8_t*>(row_of(p.type, p.w, n + j, p.K)), p.K, layout.row(w_rows, j));
        int64_t r = 0;
        for (; r + 2 <= M; r += 2) dot_bytes<F::kOffset, 2>(p, layout, scratch, w_rows, r, n, count);
        for (; r < M; ++r) dot_bytes<F::kOffset, 1>(p, layout, scratch, w_rows, r, n, count);
    }
}

}  // namespace

void linear(const Call& call, Range units, void* scratch) {
    if (!call.p.by_columns || call.rows() > kFewRows) return NIB_BASE::linear_product(call, units, scratch);
    const Product p(call);
    const int64_t M = call.rows();
    switch (p.type) {
        case DType::F32: dot_numbers<float>(p, M, units); break;
        case DType::F16: dot_numbers<Half>(p, M, units); break;
        case DType::BF16: dot_numbers<BFloat>(p, M, units); break;
        default: with_format(p.type, [&]<class F>() { dot_blocks<F>(p, M, units, scratch); });
    }
    finish(call, {0, M}, units);
}

size_t linear_few_rows_scratch_bytes(const Call& call) {
    if (!call.p.by_columns || dtype_info(call.p.type)->block_size == 1) return 0;
    return static_cast<size_t>((least(kFewRows, call.p.B * call.p.T) + kWeights) * Layout(call.p.C).row_bytes());
}

}  // namespace nib::cpu::NIB_ISA
