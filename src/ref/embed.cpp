#include "core/philox.h"
#include "ref/ops.h"

namespace nib::ref {

// y[r,c] = dropout(wte[ids[r], c] + wpe[positions[r], c])
template <class Real>
void embed(const Call& call, Range rows, void*) {
    const auto* ids = call.input<int32_t>(0);        // (R)
    const auto* positions = call.input<int32_t>(1);  // (R)
    const auto* wte = call.input<Real>(2);           // (V,C)
    const auto* wpe = call.input<Real>(3);           // (S,C) or null
    auto* y = call.output<Real>(0);                  // (R,C)
    const int64_t C = call.p.C;
    for (int64_t r = rows.begin; r < rows.end; ++r)
        for (int64_t c = 0; c < C; ++c) {
            const Real x = wte[ids[r] * C + c] + (wpe ? wpe[positions[r] * C + c] : Real{0});
            y[r * C + c] = x * dropout_factor(call.step->seed, call.step->index, call.p.stream, call.p.dropout, r * C + c);
        }
}

// dwte[ids[r], c] += dropout(dy[r,c]),  dwpe[positions[r], c] += dropout(dy[r,c])
template <class Real>
void embed_backward(const Call& call, Range columns, void*) {
    const auto* dy = call.input<Real>(0);            // (R,C)
    const auto* ids = call.input<int32_t>(1);        // (R)
    const auto* positions = call.input<int32_t>(2);  // (R)
    auto* dwte = call.output<Real>(0);               // (V,C)
    auto* dwpe = call.output<Real>(1);               // (S,C) or null
    const Params& p = call.p;
    for (int64_t c = columns.begin; c < columns.end; ++c) {
        if (!call.adds_weight(0))
            for (int64_t v = 0; v < p.N; ++v) dwte[v * p.C + c] = 0;
        if (dwpe && !call.adds_weight(1))
            for (int64_t s = 0; s < p.S; ++s) dwpe[s * p.C + c] = 0;
        for (int64_t r = 0; r < p.B * p.T; ++r) {
            const Real d =
                dy[r * p.C + c] * dropout_factor(call.step->seed, call.step->index, p.stream, p.dropout, r * p.C + c);
            dwte[ids[r] * p.C + c] += d;
            if (dwpe) dwpe[positions[r] * p.C + c] += d;
        }
    }
}

// y[n,c] = x[which[n], c]
template <class Real>
void gather_rows(const Call& call, Range rows, void*) {
    const auto* x = call.input<Real>(0);         // (R,C)
    const auto* which = call.input<int32_t>(1);  // (N)
    auto* y = call.output<Real>(0);              // (N,C)
    for (int64_t n = rows.begin; n < rows.end; ++n)
        for (int64_t c = 0; c < call.p.C; ++c) y[n * call.p.C + c] = x[which[n] * call.p.C + c];
}

NIB_INSTANTIATE(embed);
NIB_INSTANTIATE(embed_backward);
NIB_INSTANTIATE(gather_rows);

}  // namespace nib::ref
