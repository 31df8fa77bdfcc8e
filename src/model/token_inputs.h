// The inputs of a graph that every model has: tokens and where they stand.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/plan.h"
#include "model/model.h"
#include "model/rope.h"

namespace nib {

class TokenInputs {
public:
    TokenInputs() : rope_(RopeConfig{}) {}
    /// B sequences of T tokens, of which `rows` are in use.
    TokenInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t time, RowCount rows = -1);

    /// To hand to Model::hidden.
    ModelInputs inputs(const Weights& weights, float dropout = 0, const CacheInputs* cache = nullptr) const;
    Tensor ids() const { return ids_; }

    /// Sets tokens (B*T) and their positions.
    void set(const Plan& plan, std::span<const int32_t> ids, std::span<const int32_t> positions);

private:
    Rope rope_;
    Tensor ids_, positions_, rotation_;  // (B,T), (B,T), (B,T,rope_.width()) or none
    std::vector<int32_t> known_;         // the positions that angles_ are of
    std::vector<float> angles_;
};

}  // namespace nib
