#include <cmath>

#include "ref/ops.h"

namespace nib::ref {

// s[r,n] = scale sum_c a[r,c] b[n,c]; -infinity where row n of b is not in use
template <class Real>
void similarity(const Call& call, Range columns, void*) {
    using O = operand::Similarity;
    const auto* a = call.input<Real>(O::a);  // (R,C)
    const auto* b = call.input<Real>(O::b);  // (N,C)
    auto* s = call.output<Real>(O::s);       // (R,N)
    const int64_t C = call.p.C, N = call.p.N;
    for (int64_t r = 0; r < call.rows(); ++r)
        for (int64_t n = columns.begin; n < columns.end; ++n) {
            double sum = 0;
            for (int64_t c = 0; n < call.gathered_rows() && c < C; ++c)
                sum += static_cast<double>(a[r * C + c]) * b[n * C + c];
            s[r * N + n] = n < call.gathered_rows() ? static_cast<Real>(static_cast<double>(call.p.scale) * sum)
                                                    : -static_cast<Real>(INFINITY);
        }
}

// da[r,c] = scale sum_n ds[r,n] b[n,c],  db[n,c] = scale sum_r ds[r,n] a[r,c], over the rows in use
template <class Real>
void similarity_backward(const Call& call, Range columns, void*) {
    using O = operand::SimilarityBackward;
    const auto* ds = call.input<Real>(O::ds);  // (R,N)
    const auto* a = call.input<Real>(O::a);    // (R,C)
    const auto* b = call.input<Real>(O::b);    // (N,C)
    auto* da = call.output<Real>(O::da);       // (R,C) or null
    auto* db = call.output<Real>(O::db);       // (N,C) or null
    const int64_t C = call.p.C, N = call.p.N, rows = call.rows(), others = call.gathered_rows();
    const auto scale = static_cast<double>(call.p.scale);
    for (int64_t c = columns.begin; c < columns.end; ++c) {
        for (int64_t r = 0; da && r < rows; ++r) {
            double sum = 0;
            for (int64_t n = 0; n < others; ++n) sum += static_cast<double>(ds[r * N + n]) * b[n * C + c];
            put(da[r * C + c], scale * sum, call.adds(O::da));
        }
        for (int64_t n = 0; db && n < others; ++n) {
            double sum = 0;
            for (int64_t r = 0; r < rows; ++r) sum += static_cast<double>(ds[r * N + n]) * a[r * C + c];
            put(db[n * C + c], scale * sum, call.adds(O::db));
        }
    }
}

NIB_INSTANTIATE(similarity);
NIB_INSTANTIATE(similarity_backward);

}  // namespace nib::ref
