// The inputs of a graph that every model has: tokens and where they stand.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/plan.h"
#include "model/model.h"
#include "model/rope.h"
#include "model/sinusoids.h"

namespace nib {

/// Error unless every id is a token of a vocabulary of that size or, with `ignored`, kIgnore.
void check_tokens(std::span<const int32_t> ids, int64_t vocab, bool ignored = false);

class TokenInputs {
public:
    TokenInputs() : rope_(RopeConfig{}) {}
    /// B sequences of T tokens, of which `rows` are in use.
    TokenInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t time, RowCount rows = -1);

    /// The same, of tokens that the encoder reads.
    static TokenInputs of_source(Graph& g, ModelConfig config, int64_t batch, int64_t time, RowCount rows = -1) {
        config.vocab = config.source_tokens();
        return TokenInputs(g, config, batch, time, rows);
    }

    /// To hand to Model::hidden.
    ModelInputs inputs(const Weights& weights, float dropout = 0, const CacheInputs* cache = nullptr) const;
    Tensor ids() const { return ids_; }

    /// Sets tokens (B*T), their positions and, of models that have them, their segments; without these all are 0. Error
    /// for those that the model does not have.
    void set(const Plan& plan, std::span<const int32_t> ids, std::span<const int32_t> positions,
             std::span<const int32_t> segments = {});

private:
    Rope rope_;
    int64_t vocab_ = 0, context_ = 0, segment_count_ = 0;
    Sinusoids sinusoids_;
    Tensor ids_, positions_, segments_, rotation_;  // (B,T), (B,T), (B,T) or none, (B,T,rope_.width()) or none
    std::vector<int32_t> zeros_;                    // (B*T): segments, unless they are given
    std::vector<int32_t> known_;                    // the positions that angles_ are of
    std::vector<float> angles_;
};

}  // namespace nib
