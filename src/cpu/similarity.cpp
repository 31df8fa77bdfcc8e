// Each text beside each other one. Formulas: src/ref/similarity.cpp.
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

// s[k] = scale times the product of x and row k of b.
template <int K>
void row_products(const float* x, const float* b, int64_t C, float scale, float* s) {
    float sums[K];
    add_up<K>(
        C, sums, [&](int64_t c, auto get, vf* sum) __attribute__((always_inline)) {
            const vf v = get(x + c);
            for (int k = 0; k < K; ++k) sum[k] = madd(v, get(b + k * C + c), sum[k]);
        });
    for (int k = 0; k < K; ++k) s[k] = scale * sums[k];
}

// Columns of a sum of rows (count,C), in which row i has factors[i * stride], all times `scale`.
struct Sum {
    const float *factors, *rows;
    int64_t stride, count, C;
    float scale;
};
void store_sum(const Sum& of, int64_t width, float* out, bool adds) {
    for_each_vector(
        width, [&](int64_t c, auto get, auto put) __attribute__((always_inline)) {
            vf sum(0.0f);
            for (int64_t i = 0; i < of.count; ++i)
                sum = madd(vf(of.factors[i * of.stride]), get(of.rows + i * of.C + c), sum);
            sum *= vf(of.scale);
            put(out + c, adds ? get(out + c) + sum : sum);
        });
}

}  // namespace

void similarity(const Call& call, Range columns, void*) {
    using O = operand::Similarity;
    const auto* b = call.input<float>(O::b);  // (N,C)
    const int64_t C = call.p.C, used = min(columns.end, call.gathered_rows());
    for (int64_t r = 0; r < call.rows(); ++r) {
        const float* a = call.input<float>(O::a) + r * C;    // (R,C)
        float* s = call.output<float>(O::s) + r * call.p.N;  // (R,N)
        int64_t n = columns.begin;
        for (; n + 4 <= used; n += 4) row_products<4>(a, b + n * C, C, call.p.scale, s + n);
        for (; n < used; ++n) row_products<1>(a, b + n * C, C, call.p.scale, s + n);
        for (; n < columns.end; ++n) s[n] = -__builtin_inff();
    }
}

void similarity_backward(const Call& call, Range columns, void*) {
    using O = operand::SimilarityBackward;
    const auto* ds = call.input<float>(O::ds);  // (R,N)
    const int64_t C = call.p.C, N = call.p.N, width = columns.end - columns.begin;
    const int64_t rows = call.rows(), others = call.gathered_rows();
    const float* a = call.input<float>(O::a) + columns.begin;  // (R,C)
    const float* b = call.input<float>(O::b) + columns.begin;  // (N,C)
    if (call.has(O::da))
        for (int64_t r = 0; r < rows; ++r)
            store_sum({ds + r * N, b, 1, others, C, call.p.scale}, width, call.output<float>(O::da) + r * C + columns.begin,
                      call.adds(O::da));
    if (call.has(O::db))
        for (int64_t n = 0; n < others; ++n)
            store_sum({ds + n, a, N, rows, C, call.p.scale}, width, call.output<float>(O::db) + n * C + columns.begin,
                      call.adds(O::db));
}

}  // namespace nib::cpu::NIB_ISA
