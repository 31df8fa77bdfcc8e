// Linear layers of few rows (decoding): dot products straight on f32, f16 or bf16 weights.
#include "cpu/epilogue.h"
#include "cpu/formats.h"

namespace nib::cpu::NIB_ISA {
namespace {

#if defined(__AVX512BW__) || defined(__aarch64__)
constexpr int kRows = 6;  // of x in a block of dot products: 24 sums, 6 of x, 1 of w in 32 registers
#elif defined(__AVX2__)
constexpr int kRows = 3;  // 12 + 3 + 1 in 16 registers
#else
constexpr int kRows = 4;  // more sums than registers, but fewer conversions
#endif
constexpr int kWeightRows = 4;      // of w
constexpr int kLines = 2;           // cache lines that are prefetched for each vector of x
constexpr int64_t kBlockRows = 16;  // rows of w that stay in the cache for all rows of x

struct Product : LinearOperands {
    using LinearOperands::LinearOperands;
    void put(int64_t row, int64_t n, float sum) const { out[row * N + n] = sum + (bias ? bias[n] : 0.0f); }
};

// The sums of four vectors.
[[gnu::always_inline]] inline void reduce_four(const vf* v, float* sums) {
#if defined(__x86_64__)
#if defined(__AVX512BW__)
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
    const __m512 abcd = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xEE));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(abcd), _mm512_extractf32x8_ps(abcd, 1));
    _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
#elif defined(__AVX2__)
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(v[0], v[1]), _mm256_unpackhi_ps(v[0], v[1]));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(v[2], v[3]), _mm256_unpackhi_ps(v[2], v[3]));
    const __m256 abcd = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xEE));
    _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1)));
#else
    const __m128 ab = _mm_add_ps(_mm_unpacklo_ps(v[0], v[1]), _mm_unpackhi_ps(v[0], v[1]));
    const __m128 cd = _mm_add_ps(_mm_unpacklo_ps(v[2], v[3]), _mm_unpackhi_ps(v[2], v[3]));
    _mm_storeu_ps(sums, _mm_add_ps(_mm_shuffle_ps(ab, cd, 0x44), _mm_shuffle_ps(ab, cd, 0xEE)));
#endif
#else
    vst1q_f32(sums, vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3])));
#endif
}

// Dot products of kX rows of x and kW rows of w. Meanwhile memory from `ahead` on is prefetched.
template <class T, int kX, int kW>
void dot_block(const Product& p, int64_t row, int64_t n, const char* ahead) {
    const float* x = p.x + row * p.K;
    const T* w = static_cast<const T*>(p.w) + n * p.K;
    vf sum[kX][kW];
    for (int i = 0; i < kX; ++i)
        for (int j = 0; j < kW; ++j) sum[i][j] = vf(0.0f);
    for_each_vector(
        p.K, [&](int64_t k, auto get, auto) __attribute__((always_inline)) {
            vf left[kX];
            for (int i = 0; i < kX; ++i) left[i] = get(x + i * p.K + k);
            for (int i = 0; i < kLines; ++i) __builtin_prefetch(ahead + k / kWidth * (kLines * 64) + i * 64, 0, 2);
            for (int j = 0; j < kW; ++j) {
                const vf right = get(w + j * p.K + k);
                for (int i = 0; i < kX; ++i) sum[i][j] = madd(left[i], right, sum[i][j]);
            }
        });
    for (int i = 0; i < kX; ++i) {
        float sums[kW];
        if constexpr (kW == 4)
            reduce_four(sum[i], sums);
        else
            for (int j = 0; j < kW; ++j) sums[j] = reduce_add(sum[i][j]);
        for (int j = 0; j < kW; ++j) p.put(row + i, n + j, sums[j]);
    }
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
void dot_rows(const Product& p, int64_t row, Range columns, const char*& ahead) {
    int64_t n = columns.begin;
    for (; n + kWeightRows <= columns.end; n += kWeightRows, ahead += round_up(p.K, kWidth) / kWidth * kLines * 64)
        dot_block<T, kX, kWeightRows>(p, row, n, ahead);
    for (; n < columns.end; ++n) dot_block<T, kX, 1>(p, row, n, ahead);
}

template <class T>
void few_rows(const Product& p, int64_t M, Range columns) {
    for (int64_t n = columns.begin; n < columns.end; n += kBlockRows) {
        const Range block{n, min(n + kBlockRows, columns.end)};
        const auto* ahead = reinterpret_cast<const char*>(static_cast<const T*>(p.w) + (n + kBlockRows) * p.K);
        int64_t r = 0;
        if (M >= 4) {  // two or three sequences side by side give the bits that each gives alone
            for (; r + kRows <= M && M - r != 4; r += kRows) dot_rows<T, kRows>(p, r, block, ahead);
            if (r + 4 <= M) dot_rows<T, 4>(p, r, block, ahead), r += 4;
            if (r + 2 <= M) dot_rows<T, 2>(p, r, block, ahead), r += 2;
        }
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
