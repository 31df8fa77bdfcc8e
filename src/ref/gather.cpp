#include <algorithm>

#include "ref/ops.h"

namespace nib::ref {

// y[n,c] = x[rows[n], c]
template <class Real>
void gather(const Call& call, Range outputs, void*) {
    using O = operand::Gather;
    const auto* x = call.input<Real>(O::x);           // (R,C)
    const auto* rows = call.input<int32_t>(O::rows);  // (N)
    auto* y = call.output<Real>(O::y);                // (N,C)
    for (int64_t n = outputs.begin; n < std::min(outputs.end, call.gathered_rows()); ++n)
        for (int64_t c = 0; c < call.p.C; ++c) y[n * call.p.C + c] = x[rows[n] * call.p.C + c];
}

// dx[r,c] = sum over n with rows[n] = r of dy[n,c]
template <class Real>
void gather_backward(const Call& call, Range columns, void*) {
    using O = operand::GatherBackward;
    const auto* dy = call.input<Real>(O::dy);         // (N,C)
    const auto* rows = call.input<int32_t>(O::rows);  // (N)
    auto* dx = call.output<Real>(O::dx);              // (R,C)
    const int64_t C = call.p.C;
    for (int64_t c = columns.begin; c < columns.end; ++c) {
        if (!call.adds(O::dx))
            for (int64_t r = 0; r < call.p.B * call.p.T; ++r) dx[r * C + c] = 0;
        for (int64_t n = 0; n < call.gathered_rows(); ++n) dx[rows[n] * C + c] += dy[n * C + c];
    }
}

NIB_INSTANTIATE(gather);
NIB_INSTANTIATE(gather_backward);

}  // namespace nib::ref
