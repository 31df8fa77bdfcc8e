#include "model/pair_inputs.h"

#include <algorithm>

#include "core/error.h"
#include "core/op.h"

namespace nib {

PairInputs::PairInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t source_time, int64_t time)
    : batch_(batch), source_time_(source_time), time_(time), vocab_(config.vocab) {
    const int64_t S = batch * source_time, T = batch * time;
    source_rows_ = g.add_row_count(), rows_ = g.add_row_count();
    source_tokens_ = TokenInputs::of_source(g, config, 1, S, source_rows_);
    source_spans_ = g.input("source spans", {1, S, 2}, DType::I32, source_rows_);
    tokens_ = TokenInputs(g, config, 1, T, rows_);
    spans_ = g.input("spans", {1, T, 2}, DType::I32, rows_);
    cross_spans_ = g.input("spans of the source", {1, T, 2}, DType::I32, rows_);
    targets_ = g.input("targets", {1, T}, DType::I32, rows_);
}

ModelInputs PairInputs::inputs(const Weights& weights, float dropout, Trace* trace) {
    ModelInputs encoder = source_tokens_.inputs(weights, dropout), decoder = tokens_.inputs(weights, dropout);
    encoder.spans = source_spans_;
    encoder.trace = decoder.trace = trace;
    encoder_ = std::make_unique<const ModelInputs>(encoder);
    decoder.spans = spans_;
    decoder.source = encoder_.get();
    decoder.source_spans = cross_spans_;
    return decoder;
}

int64_t PairInputs::set(const Plan& plan, std::span<const int32_t> ids, std::span<const int32_t> targets,
                        const SourceBatch& source, Step& step) {
    const auto B = static_cast<size_t>(batch_), S = static_cast<size_t>(source_time_), T = static_cast<size_t>(time_);
    if (ids.size() != B * T || targets.size() != B * T || source.ids.size() != B * S || source.lengths.size() != B)
        fail("%zu sources of %zu tokens in all, with %zu tokens and %zu targets, are not %zu of up to %zu and %zu",
             source.lengths.size(), source.ids.size(), ids.size(), targets.size(), B, S, T);
    check_tokens(targets, vocab_, true);
    PackedRows sources(batch_ * source_time_), rows(batch_ * time_);
    std::vector<int32_t> cross(2 * B * T), wanted(B * T, kIgnore);
    for (size_t b = 0; b < B; ++b) {
        const int32_t length = source.lengths[b];
        if (length < 1 || length > source_time_)
            fail("a source of %d tokens is not one of 1 to %lld", length, static_cast<long long>(source_time_));
        const auto goals = targets.subspan(b * T, T);
        const auto last = std::find_if(goals.rbegin(), goals.rend(), [](int32_t target) { return target != kIgnore; });
        const auto count = last == goals.rend() ? T : static_cast<size_t>(goals.rend() - last);
        const size_t first = sources.used;
        std::copy_n(goals.begin(), count, wanted.begin() + static_cast<std::ptrdiff_t>(rows.used));
        sources.add(source.ids.subspan(b * S, static_cast<size_t>(length)));
        for (size_t r = rows.used; r < rows.used + count; ++r)
            cross[2 * r] = static_cast<int32_t>(first), cross[2 * r + 1] = static_cast<int32_t>(sources.used);
        rows.add(ids.subspan(b * T, count));
    }
    sources.close(), rows.close();
    std::fill(cross.begin() + static_cast<std::ptrdiff_t>(2 * rows.used), cross.end(), static_cast<int32_t>(sources.used));
    source_tokens_.set(plan, sources.ids, sources.positions);
    tokens_.set(plan, rows.ids, rows.positions);
    plan.set<int32_t>(source_spans_, sources.spans);
    plan.set<int32_t>(spans_, rows.spans);
    plan.set<int32_t>(cross_spans_, cross);
    plan.set<int32_t>(targets_, wanted);
    step.rows[source_rows_] = static_cast<int64_t>(sources.used);
    step.rows[rows_] = static_cast<int64_t>(rows.used);
    return static_cast<int64_t>(rows.used);
}

}  // namespace nib
