// Sinusoidal positions (Vaswani et al. 2017), which are not learned: a table that the host computes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/plan.h"
#include "model/config.h"

namespace nib {

/// That of a text's token number `position`, counted from 0 (C), as Marian lays it out: sin(p / 10000^(2 i / C)) for i = 0,
/// 1, ..., then the cosines. The first half has one more where C is odd. Variants are those of EncoderDecoderConfig.
void sinusoid(const EncoderDecoderConfig& config, int64_t position, std::span<float> out);

/// The rows of the table that a graph's tokens need, as its inputs.
class Sinusoids {
public:
    Sinusoids() = default;
    /// For B sequences of T tokens, of which `rows` are in use.
    Sinusoids(Graph& g, const ModelConfig& config, int64_t batch, int64_t time, RowCount rows);

    Tensor table() const { return table_; }  // (N,C)
    Tensor rows() const { return rows_; }    // (B,T) int32
    /// Sets both for tokens at these positions (B*T), which are below the context. Nothing without a graph.
    void set(const Plan& plan, std::span<const int32_t> positions);

private:
    std::span<const float> at(int32_t position);

    EncoderDecoderConfig config_;
    int64_t channels_ = 0;
    bool whole_ = false;  // the graph's table has all positions; else a row for each token
    Tensor table_, rows_;
    std::vector<float> all_;        // (context,C), of the positions that
    std::vector<bool> known_;       // were asked for before
    std::vector<float> values_;     // (B*T,C), unless the table is whole
    std::vector<int32_t> numbers_;  // 0, 1, ...: the tokens' rows, likewise
};

}  // namespace nib
