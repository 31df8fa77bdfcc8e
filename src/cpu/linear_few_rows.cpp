// Linear layers of few rows (decoding): dot products straight on f32, f16 or bf16 weights.
#include "cpu/epilogue.h"
#include "cpu/formats.h"

namespace nib::cpu::NIB_ISA {
namespace {

constexpr int64_t kWeightRows = 4;  // rows of w in a block of dot products
constexpr int64_t kBlockRows = 16;  // rows of w that stay in the cache for all rows of x

struct Product : LinearOperands {
    using LinearOperands::LinearOperands;
    void put(int64_t row, int64_t n, float sum) const { out[row * N + n] = sum + (bias ? bias[n] : 0.0f); }
};

// Dot products of kX rows of x and kW rows of w.
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
                __builtin_prefetch(w + (kW + j) * p.K + k, 0, 3);  // for the next rows
                const vf right = get(w + j * p.K + k);
                for (int i = 0; i < kX; ++i) sum[i][j] = madd(left[i], right, sum[i][j]);
            }
        });
    for (int i = 0; i < kX; ++i)
        for (int j = 0; j < kW; ++j) p.put(row + i, n + j, reduce_add(sum[i][j]));
}

// One row of x: the rows of w in turn, so that memory is read in order.
template <class T>
void dot_row(const Product& p, int64_t row, Range columns) {
    constexpr int kSums = 4;  // independent, since a single one would be limited by the latency of multiply-adds
    constexpr int64_t kStep = kSums * kWidth, kPrefetchDistance = 8192 / sizeof(T);
    const float* x = p.x + row * p.K;
    for (int64_t n = columns.begin; n < columns.end; ++n) {
        const T* w = static_cast<const T*>(p.w) + n * p.K;
        vf sum[kSums] = {vf(0.0f), vf(0.0f), vf(0.0f), vf(0.0f)};
        int64_t k = 0;
        for (; k + kStep <= p.K; k += kStep) {
            for (size_t line = 0; line < kStep * sizeof(T); line += 64)
                __builtin_prefetch(reinterpret_cast<const char*>(w + k + kPrefetchDistance) + line, 0, 3);
            for (int i = 0; i < kSums; ++i) sum[i] = madd(load(x + k + i * kWidth), load(w + k + i * kWidth), sum[i]);
        }
        for_each_vector(
            p.K - k, [&](int64_t i, auto get, auto)
                         __attribute__((always_inline)) { sum[0] = madd(get(x + k + i), get(w + k + i), sum[0]); });
        p.put(row, n, reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3])));
    }
}

template <class T, int kX>
void dot_rows(const Product& p, int64_t row, Range columns) {
    int64_t n = columns.begin;
    for (; n + kWeightRows <= columns.end; n += kWeightRows) dot_block<T, kX, kWeightRows>(p, row, n);
    for (; n < columns.end; ++n) dot_block<T, kX, 1>(p, row, n);
}

template <class T>
void few_rows(const Product& p, int64_t M, Range columns) {
    for (int64_t n = columns.begin; n < columns.end; n += kBlockRows) {
        const Range block{n, min(n + kBlockRows, columns.end)};
        int64_t r = 0;
        for (; r + 4 <= M; r += 4) dot_rows<T, 4>(p, r, block);
        for (; r < M; ++r) dot_row<T>(p, r, block);
    }
}

}  // namespace

void linear_few_rows(const Call& call, Range columns, void*) {
    const Product p(call);
    const int64_t M = call.rows();
    if (p.type == DType::F16)
        few_rows<Half>(p, M, columns);
    else if (p.type == DType::BF16)
        few_rows<BFloat>(p, M, columns);
    else
        few_rows<float>(p, M, columns);
    finish(call, {0, M}, columns);
}

}  // namespace nib::cpu::NIB_ISA
