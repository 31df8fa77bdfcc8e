// Texts of mixed lengths, one behind the other, as rows (1,R) of which only those in use are computed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/token_inputs.h"

namespace nib {

/// B rows of up to T tokens, each of one text or of several that do not see each other.
struct RaggedRows {
    std::span<const int32_t> positions;   // (B*T), of each token in its text; 0 begins one
    std::span<const int32_t> lengths;     // (B), 0 to T
    std::span<const int32_t> segments{};  // (B*T), of models that have them; none: all 0
};

/// What the host fills in for rows that follow one another: tokens, where they stand in their text, and which rows are of
/// that text, as spans for attention.
struct PackedRows {
    std::vector<int32_t> ids, positions, segments, spans;  // (R), (R), (R), (R,2)
    size_t used = 0;

    explicit PackedRows(int64_t count = 0);
    /// Adds a text, and the segments of its tokens; without these all are 0.
    void add(std::span<const int32_t> text, std::span<const int32_t> segments = {});
    /// When all are there. Where rows are not in use, spans do not decrease either, and tokens are some of the model's.
    void close();
};

class PackedInputs {
public:
    PackedInputs() = default;
    /// For B rows of at most T tokens.
    PackedInputs(Graph& g, const ModelConfig& config, int64_t batch, int64_t time);

    /// To hand to Model::hidden.
    ModelInputs inputs(const Weights& weights, float dropout = 0) const;
    RowCount row_count() const { return row_count_; }

    /// Takes tokens (B*T), and fills in the rows in use of a step. Error for another number of tokens, lengths out of range
    /// and tokens that the model does not have.
    void set(const Plan& plan, std::span<const int32_t> ids, const RaggedRows& ragged, Step& step);
    /// What belongs to these tokens, (B*T) as well, for the rows (R) that set() has made of them; kIgnore for rows that are
    /// not in use. Valid until the next call.
    std::span<const int32_t> pack(std::span<const int32_t> values, std::span<const int32_t> lengths);

private:
    int64_t batch_ = 0, time_ = 0;  // B, T
    RowCount row_count_ = -1;
    bool segmented_ = false;
    TokenInputs tokens_;
    Tensor spans_;  // (1,B*T,2)
    PackedRows rows_;
    std::vector<int32_t> packed_;  // (B*T)
};

}  // namespace nib
