#include "model/source_inputs.h"

#include <algorithm>

#include "core/error.h"

namespace nib {

SourceInputs::SourceInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t source_time, int64_t time) {
    if (!config.has_encoder()) return;
    batch_ = batch, source_time_ = source_time, time_ = time;
    tokens_ = TokenInputs::of_source(g, config, batch, source_time);
    own_spans_ = g.input("source spans", {batch, source_time, 2}, DType::I32);
    spans_ = g.input("spans of the source", {batch, time, 2}, DType::I32);
}

void SourceInputs::add_to(ModelInputs& inputs) {
    if (batch_ == 0) return;
    ModelInputs encoder = tokens_.inputs(inputs.weights, inputs.dropout);
    encoder.spans = own_spans_;
    encoder.trace = inputs.trace;
    inputs_ = std::make_unique<const ModelInputs>(encoder);
    inputs.source = inputs_.get();
    inputs.source_spans = spans_;
}

void SourceInputs::set(const Plan& plan, const SourceBatch& batch) {
    if (std::ssize(batch.ids) != batch_ * source_time_ || std::ssize(batch.lengths) != batch_)
        fail("%zu sources, of %zu tokens in all, are not %lld of %lld", batch.lengths.size(), batch.ids.size(),
             static_cast<long long>(batch_), static_cast<long long>(source_time_));
    if (batch_ == 0) return;
    std::vector<int32_t> positions, own, seen, ids(batch.ids.begin(), batch.ids.end());
    const auto S = static_cast<size_t>(source_time_), T = static_cast<size_t>(time_);
    for (size_t b = 0; b < batch.lengths.size(); ++b) {
        const int32_t length = batch.lengths[b];
        if (length < 1 || length > source_time_)
            fail("a source of %d tokens is not one of 1 to %lld", length, static_cast<long long>(source_time_));
        std::fill_n(ids.begin() + static_cast<std::ptrdiff_t>(b * S) + length, source_time_ - length, 0);
        for (size_t s = 0; s < S; ++s) positions.push_back(static_cast<int32_t>(s));
        for (size_t s = 0; s < S; ++s) own.insert(own.end(), {0, length});
        for (size_t t = 0; t < T; ++t) seen.insert(seen.end(), {0, length});
    }
    tokens_.set(plan, ids, positions);
    plan.set<int32_t>(own_spans_, own);
    plan.set<int32_t>(spans_, seen);
}

}  // namespace nib
