#include "model/token_inputs.h"

namespace nib {

TokenInputs::TokenInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t time, RowCount rows)
    : rope_(config.rope),
      ids_(g.input("ids", {batch, time}, DType::I32, rows)),
      positions_(g.input("positions", {batch, time}, DType::I32, rows)) {
    if (rope_.width() == 0) return;
    rotation_ = g.input("rotation", {batch, time, rope_.width()}, DType::F32, rows);
    known_.assign(static_cast<size_t>(batch * time), -1);
    angles_.resize(static_cast<size_t>(batch * time * rope_.width()));
}

ModelInputs TokenInputs::inputs(const Weights& weights, float dropout, const CacheInputs* cache) const {
    return {.weights = weights,
            .ids = ids_,
            .positions = positions_,
            .rotation = rotation_,
            .dropout = dropout,
            .cache = cache};
}

void TokenInputs::set(const Plan& plan, std::span<const int32_t> ids, std::span<const int32_t> positions) {
    plan.set(ids_, ids);
    plan.set(positions_, positions);
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
