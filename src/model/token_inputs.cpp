#include "model/token_inputs.h"

#include "core/error.h"

namespace nib {

void check_tokens(std::span<const int32_t> ids, int64_t vocab, bool ignored) {
    for (const int32_t id : ids)
        if ((id < 0 || id >= vocab) && !(ignored && id == kIgnore))
            fail("token %d is not among the %lld of the model", id, static_cast<long long>(vocab));
}

TokenInputs::TokenInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t time, RowCount rows)
    : rope_(config.rope),
      vocab_(config.vocab),
      context_(config.context),
      segment_count_(config.segments),
      ids_(g.input("ids", {batch, time}, DType::I32, rows)),
      positions_(g.input("positions", {batch, time}, DType::I32, rows)) {
    if (segment_count_ > 0) {
        segments_ = g.input("segments", {batch, time}, DType::I32, rows);
        zeros_.assign(static_cast<size_t>(batch * time), 0);
    }
    if (config.has_encoder()) sinusoids_ = Sinusoids(g, config, batch, time, rows);
    if (rope_.width() == 0) return;
    rotation_ = g.input("rotation", {batch, time, rope_.width()}, DType::F32, rows);
    known_.assign(static_cast<size_t>(batch * time), -1);
    angles_.resize(static_cast<size_t>(batch * time * rope_.width()));
}

ModelInputs TokenInputs::inputs(const Weights& weights, float dropout, const CacheInputs* cache) const {
    return {.weights = weights,
            .ids = ids_,
            .positions = positions_,
            .segments = segments_,
            .rotation = rotation_,
            .sinusoids = sinusoids_.table(),
            .sinusoid_rows = sinusoids_.rows(),
            .dropout = dropout,
            .cache = cache};
}

void TokenInputs::set(const Plan& plan, std::span<const int32_t> ids, std::span<const int32_t> positions,
                      std::span<const int32_t> segments) {
    check_tokens(ids, vocab_);
    for (const int32_t position : positions)
        if (position < 0 || position >= context_)
            fail("position %d is not within the model's context of %lld", position, static_cast<long long>(context_));
    for (const int32_t segment : segments)
        if (segment < 0 || segment >= segment_count_)
            fail("segment %d is not among the %lld of the model", segment, static_cast<long long>(segment_count_));
    plan.set(ids_, ids);
    plan.set(positions_, positions);
    if (segments_) plan.set(segments_, segments.empty() ? std::span<const int32_t>(zeros_) : segments);
    sinusoids_.set(plan, positions);
    if (!rotation_) return;
    const auto width = static_cast<size_t>(rope_.width());
    for (size_t r = 0; r < known_.size(); ++r) {
        if (known_[r] == positions[r]) continue;
        known_[r] = positions[r];
        rope_.rotation(positions[r], std::span(angles_).subspan(r * width, width));
    }
    plan.set<float>(rotation_, angles_);
}

}  // namespace nib
