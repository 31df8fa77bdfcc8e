#include "model/packed_inputs.h"

#include <algorithm>

#include "core/error.h"
#include "core/op.h"

namespace nib {

PackedRows::PackedRows(int64_t count)
    : ids(static_cast<size_t>(count)),
      positions(static_cast<size_t>(count)),
      segments(static_cast<size_t>(count)),
      spans(static_cast<size_t>(2 * count)) {}

void PackedRows::add(std::span<const int32_t> text, std::span<const int32_t> of_segments) {
    const size_t begin = used;
    for (size_t t = 0; t < text.size(); ++t, ++used) {
        ids[used] = text[t];
        positions[used] = static_cast<int32_t>(t);
        segments[used] = of_segments.empty() ? 0 : of_segments[t];
        spans[2 * used] = static_cast<int32_t>(begin), spans[2 * used + 1] = static_cast<int32_t>(begin + text.size());
    }
}

void PackedRows::close() {
    const auto end = static_cast<std::ptrdiff_t>(used);
    for (auto* values : {&ids, &positions, &segments}) std::fill(values->begin() + end, values->end(), 0);
    std::fill(spans.begin() + 2 * end, spans.end(), static_cast<int32_t>(used));
}

PackedInputs::PackedInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t time)
    : batch_(batch), time_(time), row_count_(g.add_row_count()), rows_(batch * time) {
    const int64_t R = batch * time;
    tokens_ = TokenInputs(g, config, 1, R, row_count_);
    spans_ = g.input("spans", {1, R, 2}, DType::I32, row_count_);
    segmented_ = config.segments > 0;
    packed_.resize(static_cast<size_t>(R));
}

ModelInputs PackedInputs::inputs(const Weights& weights, float dropout) const {
    ModelInputs in = tokens_.inputs(weights, dropout);
    in.spans = spans_;
    return in;
}

void PackedInputs::set(const Plan& plan, std::span<const int32_t> ids, const RaggedRows& ragged, Step& step) {
    const auto B = static_cast<size_t>(batch_), T = static_cast<size_t>(time_);
    const auto& [positions, lengths, segments] = ragged;
    if (ids.size() != B * T || positions.size() != B * T || lengths.size() != B ||
        (!segments.empty() && segments.size() != B * T))
        fail("%zu rows of %zu tokens in all, with %zu positions, are not %zu of up to %zu", lengths.size(), ids.size(),
             positions.size(), B, T);
    rows_.used = 0;
    for (size_t b = 0; b < B; ++b) {
        if (lengths[b] < 0 || lengths[b] > time_) fail("a row of %d tokens is not one of up to %zu", lengths[b], T);
        const size_t length = static_cast<size_t>(lengths[b]), row = b * T;
        for (size_t begin = 0, end = 0; begin < length; begin = end) {
            for (end = begin + 1; end < length && positions[row + end] != 0;) ++end;
            rows_.add(ids.subspan(row + begin, end - begin),
                      segments.empty() ? segments : segments.subspan(row + begin, end - begin));
        }
    }
    if (rows_.used == 0) rows_.add(std::span(ids).first(1));  // a plan computes one row at least
    rows_.close();
    tokens_.set(plan, rows_.ids, rows_.positions,
                segmented_ ? std::span<const int32_t>(rows_.segments) : segments.first(0));
    plan.set<int32_t>(spans_, rows_.spans);
    step.rows[row_count_] = static_cast<int64_t>(rows_.used);
}

std::span<const int32_t> PackedInputs::pack(std::span<const int32_t> values, std::span<const int32_t> lengths) {
    const auto B = static_cast<size_t>(batch_), T = static_cast<size_t>(time_);
    if (values.size() != B * T || lengths.size() != B)
        fail("%zu values of %zu rows are not %zu of %zu", values.size(), lengths.size(), B * T, B);
    auto at = packed_.begin();
    for (size_t b = 0; b < B; ++b) at = std::copy_n(&values[b * T], lengths[b], at);
    std::fill(at, packed_.end(), kIgnore);
    return packed_;
}

}  // namespace nib
