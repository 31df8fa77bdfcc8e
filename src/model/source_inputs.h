// The inputs of a graph in which an encoder reads sources and a decoder attends to them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/token_inputs.h"

namespace nib {

/// B sources of at most S tokens.
struct SourceBatch {
    std::span<const int32_t> ids;      // (B*S), anything after a source's end
    std::span<const int32_t> lengths;  // (B), 1 to S
};

/// Nothing of models without an encoder.
class SourceInputs {
public:
    SourceInputs() = default;
    /// B sources of at most S tokens, for B sequences of T tokens.
    SourceInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t source_time, int64_t time);

    /// Adds them to what is handed to Model::hidden, which this must outlive.
    void add_to(ModelInputs& inputs);

    /// Error for another number of sources than B, lengths out of range, and tokens that the encoder does not have.
    void set(const Plan& plan, const SourceBatch& batch);

private:
    int64_t batch_ = 0, source_time_ = 0, time_ = 0;  // B, S, T
    TokenInputs tokens_;
    Tensor own_spans_, spans_;                   // (B,S,2), (B,T,2)
    std::unique_ptr<const ModelInputs> inputs_;  // of the encoder
};

}  // namespace nib
