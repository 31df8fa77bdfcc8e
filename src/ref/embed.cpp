#include <vector>

#include "core/philox.h"
#include "ref/ops.h"
#include "ref/quantize.h"

namespace nib::ref {
namespace {

// out += row `row` of a table (n,C) of any type.
template <class Real>
void add_row(DType type, const void* table, int64_t row, std::vector<Real>& out) {
    const auto C = static_cast<int64_t>(out.size());
    std::vector<Real> values(out.size());
    if (type == DType::F32) {
        values.assign(static_cast<const Real*>(table) + row * C, static_cast<const Real*>(table) + (row + 1) * C);
    } else {
        std::vector<float> unpacked(out.size());
        unpack(type, static_cast<const std::byte*>(table) + dtype_bytes(type, row * C), C, unpacked.data());
        values.assign(unpacked.begin(), unpacked.end());
    }
    for (size_t c = 0; c < out.size(); ++c) out[c] += values[c];
}

}  // namespace

// y[r,c] = dropout(wte[ids[r], c] + wpe[positions[r], c])
template <class Real>
void embed(const Call& call, Range rows, void*) {
    const auto* ids = call.input<int32_t>(0);        // (R)
    const auto* positions = call.input<int32_t>(1);  // (R)
    const void* wte = call.in[2];                    // (V,C) of type p.type
    const void* wpe = call.in[3];                    // (S,C) of type p.position_type, or null
    auto* y = call.output<Real>(0);                  // (R,C)
    const int64_t C = call.p.C;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        std::vector<Real> x(static_cast<size_t>(C));
        add_row(call.p.type, wte, ids[r], x);
        if (wpe) add_row(call.p.position_type, wpe, positions[r], x);
        for (int64_t c = 0; c < C; ++c)
            y[r * C + c] = x[static_cast<size_t>(c)] *
                           dropout_factor(call.step->seed, call.step->index, call.p.stream, call.p.dropout, r * C + c);
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
