// The inputs of a graph in which an encoder reads sources and a decoder, which attends to them, reads what it is to write.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/packed_inputs.h"

namespace nib {

/// B sources of at most S tokens.
struct SourceBatch {
    std::span<const int32_t> ids;      // (B*S), anything after a source's end
    std::span<const int32_t> lengths;  // (B), 1 to S; 0: there is no such pair, and it has no target
};

/// Pairs of mixed lengths, one behind the other: their sources are rows (1,B*S), what the decoder reads is rows (1,B*T),
/// and only those in use are computed. Each row sees its own pair alone.
class PairInputs {
public:
    PairInputs() = default;
    /// For B pairs of sources of at most S tokens and of at most T tokens.
    PairInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t source_time, int64_t time);

    /// To hand to Model::hidden; this must outlive it.
    ModelInputs inputs(const Weights& weights, float dropout = 0, Trace* trace = nullptr);
    /// An input for what the rows of the decoder predict, (1,B*T) int32.
    Tensor targets() const { return targets_; }

    /// Of each pair what the decoder reads, and the targets, (B*T) both: up to the last target that is not kIgnore, or all
    /// of a pair without any. Fills in the rows in use of a step, and returns those of the decoder. Allocates nothing.
    /// Error for another number of tokens or sources, lengths out of range, no pair at all and tokens that the model does
    /// not have.
    int64_t set(const Plan& plan, std::span<const int32_t> ids, std::span<const int32_t> targets, const SourceBatch& source,
                Step& step);

private:
    void add_pair(std::span<const int32_t> ids, std::span<const int32_t> targets, std::span<const int32_t> source);

    int64_t batch_ = 0, source_time_ = 0, time_ = 0, vocab_ = 0;  // B, S, T, V
    RowCount source_rows_ = -1, rows_ = -1;
    TokenInputs source_tokens_, tokens_;
    Tensor source_spans_, spans_, cross_spans_;  // (1,B*S,2), (1,B*T,2), (1,B*T,2)
    Tensor targets_;
    std::unique_ptr<const ModelInputs> encoder_;
    PackedRows source_text_, text_;       // values of the inputs
    std::vector<int32_t> cross_, goals_;  // (B*T,2), (B*T)
};

}  // namespace nib
