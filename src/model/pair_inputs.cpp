#include "model/pair_inputs.h"

#include <algorithm>

#include "core/error.h"
#include "core/op.h"

namespace nib {

PairInputs::PairInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t source_time, int64_t time)
    : batch_(batch), source_time_(source_time), time_(time), vocab_(config.vocab) {
    const int64_t S = batch * source_time, T = batch * time;
    source_text_ = PackedRows(S), text_ = PackedRows(T);
    cross_.resize(static_cast<size_t>(2 * T)), goals_.resize(static_cast<size_t>(T));
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

// Up to the last target, or all.
void PairInputs::add_pair(std::span<const int32_t> ids, std::span<const int32_t> targets, std::span<const int32_t> source) {
    const auto last = std::find_if(targets.rbegin(), targets.rend(), [](int32_t target) { return target != kIgnore; });
    const size_t count = last == targets.rend() ? targets.size() : static_cast<size_t>(targets.rend() - last);
    const size_t first = source_text_.used;
    source_text_.add(source);
    for (size_t t = 0; t < count; ++t) {
        const size_t r = text_.used + t;
        goals_[r] = targets[t];
        cross_[2 * r] = static_cast<int32_t>(first), cross_[2 * r + 1] = static_cast<int32_t>(source_text_.used);
    }
    text_.add(ids.first(count));
}

int64_t PairInputs::set(const Plan& plan, std::span<const int32_t> ids, std::span<const int32_t> targets,
                        const SourceBatch& source, Step& step) {
    const auto B = static_cast<size_t>(batch_), S = static_cast<size_t>(source_time_), T = static_cast<size_t>(time_);
    if (ids.size() != B * T || targets.size() != B * T || source.ids.size() != B * S || source.lengths.size() != B)
        fail("%zu sources of %zu tokens in all, with %zu tokens and %zu targets, are not %zu of up to %zu and %zu",
             source.lengths.size(), source.ids.size(), ids.size(), targets.size(), B, S, T);
    check_tokens(targets, vocab_, true);
    source_text_.used = text_.used = 0;
    std::fill(goals_.begin(), goals_.end(), kIgnore);
    for (size_t b = 0; b < B; ++b) {
        const int32_t length = source.lengths[b];
        const auto goals = targets.subspan(b * T, T);
        if (length == 0 && std::all_of(goals.begin(), goals.end(), [](int32_t target) { return target == kIgnore; }))
            continue;
        if (length < 1 || length > source_time_)
            fail("a source of %d tokens is not one of 1 to %lld", length, static_cast<long long>(source_time_));
        add_pair(ids.subspan(b * T, T), goals, source.ids.subspan(b * S, static_cast<size_t>(length)));
    }
    if (text_.used == 0) fail("a batch of pairs has none");
    source_text_.close(), text_.close();
    std::fill(cross_.begin() + static_cast<std::ptrdiff_t>(2 * text_.used), cross_.end(),
              static_cast<int32_t>(source_text_.used));
    source_tokens_.set(plan, source_text_.ids, source_text_.positions);
    tokens_.set(plan, text_.ids, text_.positions);
    plan.set<int32_t>(source_spans_, source_text_.spans);
    plan.set<int32_t>(spans_, text_.spans);
    plan.set<int32_t>(cross_spans_, cross_);
    plan.set<int32_t>(targets_, goals_);
    step.rows[source_rows_] = static_cast<int64_t>(source_text_.used);
    step.rows[rows_] = static_cast<int64_t>(text_.used);
    return static_cast<int64_t>(text_.used);
}

}  // namespace nib
