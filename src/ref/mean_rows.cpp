#include <algorithm>

#include "ref/ops.h"

namespace nib::ref {

// y[n,c] = mean of x[r,c] over the rows r of text n; 0 if it has none
template <class Real>
void mean_rows(const Call& call, Range units, void*) {
    using O = operand::MeanRows;
    const auto* x = call.input<Real>(O::x);             // (R,C)
    const auto* texts = call.input<int32_t>(O::texts);  // (N,2)
    auto* y = call.output<Real>(O::y);                  // (N,C)
    const int64_t C = call.p.C;
    for (int64_t n = units.begin; n < std::min(units.end, call.gathered_rows()); ++n) {
        const int64_t first = texts[2 * n], end = texts[2 * n + 1];
        for (int64_t c = 0; c < C; ++c) {
            double sum = 0;
            for (int64_t r = first; r < end; ++r) sum += x[r * C + c];
            y[n * C + c] = static_cast<Real>(first < end ? sum / static_cast<double>(end - first) : 0);
        }
    }
}

// dx[r,c] = dy[n,c] / rows of the text n that r is a row of; 0 if there is none
template <class Real>
void mean_rows_backward(const Call& call, Range columns, void*) {
    using O = operand::MeanRowsBackward;
    const auto* dy = call.input<Real>(O::dy);           // (N,C)
    const auto* texts = call.input<int32_t>(O::texts);  // (N,2)
    auto* dx = call.output<Real>(O::dx);                // (R,C)
    const int64_t C = call.p.C;
    for (int64_t c = columns.begin; c < columns.end; ++c) {
        for (int64_t r = 0; !call.adds(O::dx) && r < call.rows(); ++r) dx[r * C + c] = 0;
        for (int64_t n = 0; n < call.gathered_rows(); ++n) {
            const int64_t first = texts[2 * n], end = texts[2 * n + 1];
            for (int64_t r = first; r < end; ++r) dx[r * C + c] += dy[n * C + c] / static_cast<Real>(end - first);
        }
    }
}

NIB_INSTANTIATE(mean_rows);
NIB_INSTANTIATE(mean_rows_backward);

}  // namespace nib::ref
