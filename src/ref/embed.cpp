#include <vector>

#include "core/philox.h"
#include "quant/quantize.h"
#include "ref/ops.h"

namespace nib::ref {
namespace {

// out += scale * row `row` of a table (n,C) of any type.
template <class Real>
void add_row(DType type, const void* table, int64_t row, Real scale, std::vector<Real>& out) {
    const auto C = static_cast<int64_t>(out.size());
    std::vector<Real> values(out.size());
    if (type == DType::F32) {
        values.assign(static_cast<const Real*>(table) + row * C, static_cast<const Real*>(table) + (row + 1) * C);
    } else {
        std::vector<float> unpacked(out.size());
        quant::unpack(type, static_cast<const std::byte*>(table) + dtype_bytes(type, row * C), C, unpacked.data());
        values.assign(unpacked.begin(), unpacked.end());
    }
    for (size_t c = 0; c < out.size(); ++c) out[c] += scale * values[c];
}

}  // namespace

// y[r,c] = dropout(scale wte[ids[r], c] + wpe[positions[r], c] + wse[segments[r], c])
template <class Real>
void embed(const Call& call, Range rows, void*) {
    using O = operand::Embed;
    auto* y = call.output<Real>(O::y);  // (R,C)
    const int64_t C = call.p.C;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        std::vector<Real> x(static_cast<size_t>(C));
        const auto add = [&](int numbers, int table, Real scale) {
            if (call.has(table)) add_row(call.type[table], call.data[table], call.input<int32_t>(numbers)[r], scale, x);
        };
        add(O::ids, O::wte, static_cast<Real>(call.p.scale));
        add(O::positions, O::wpe, 1);
        add(O::segments, O::wse, 1);
        for (int64_t c = 0; c < C; ++c)
            y[r * C + c] = x[static_cast<size_t>(c)] *
                           dropout_factor(call.step->seed, call.step->index, call.p.stream, call.p.dropout, r * C + c);
    }
}

// dwte[ids[r], c] += scale dropout(dy[r,c]),  dwpe[positions[r], c] += dropout(dy[r,c]),  dwse[segments[r], c] likewise
template <class Real>
void embed_backward(const Call& call, Range columns, void*) {
    using O = operand::EmbedBackward;
    const auto* dy = call.input<Real>(O::dy);  // (R,C)
    const Params& p = call.p;
    const auto add = [&](int numbers, int gradient, int64_t table_rows, double scale) {
        auto* dw = call.output<Real>(gradient);  // (table_rows,C) or null
        const auto* number = call.input<int32_t>(numbers);
        if (dw == nullptr) return;
        for (int64_t c = columns.begin; c < columns.end; ++c) {
            if (!call.adds_weight(gradient))
                for (int64_t v = 0; v < table_rows; ++v) dw[v * p.C + c] = 0;
            for (int64_t r = 0; r < call.rows(); ++r)
                dw[number[r] * p.C + c] +=
                    static_cast<Real>(scale * dy[r * p.C + c] *
                                      dropout_factor(call.step->seed, call.step->index, p.stream, p.dropout, r * p.C + c));
        }
    };
    add(O::ids, O::dwte, p.N, p.scale);
    add(O::positions, O::dwpe, p.S, 1);
    add(O::segments, O::dwse, p.L, 1);
}

NIB_INSTANTIATE(embed);
NIB_INSTANTIATE(embed_backward);

}  // namespace nib::ref
