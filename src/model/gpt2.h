// GPT-2's block, which GPT-3 and GPT-Neo have as well.
#pragma once

#include <vector>

#include "model/architecture.h"
#include "model/blocks.h"

namespace nib {

/// GPT-2 (Radford et al. 2019): pre-norm transformer decoder with learned positions.
class Gpt2 : public Model {
public:
    enum class Projections { Fused, Separate };  // of queries, keys and values: one matrix, or three
    explicit Gpt2(const ModelConfig& config, Projections projections = Projections::Fused);

    Tensor hidden(Graph& g, const ModelInputs& in) const override;
    Tensor last_norm(Graph& g, const Weights& w, Tensor x) const override;

private:
    struct Block {
        NormParameters attn_norm;
        LinearParameters attn_qkv;                // (3C,C), or
        LinearParameters attn_q, attn_k, attn_v;  // (C,C)
        LinearParameters attn_output;             // (C,C)
        NormParameters ffn_norm;
        FeedForward ffn;
    };
    Qkv project(Graph& g, const Weights& w, const Block& b, Tensor h) const;

    Parameter tokens_, positions_;  // (V,C), (S,C)
    std::vector<Block> blocks_;
    NormParameters output_norm_;
};

// Parts of an Architecture that GPT-1, GPT-2, GPT-3 and GPT-Neo share.

void set_gpt_defaults(ModelConfig& config);
/// UsageError when there are fewer heads of keys and values than of queries.
void complete_gpt(ModelConfig& config);
/// The norms' epsilon, the activation (`nib.activation`, where it is not gelu_tanh), and ModelConfig::attention.
void read_gpt_keys(const GgufFile& file, ModelConfig& config);
void write_gpt_keys(GgufWriter& file, const ModelConfig& config);

}  // namespace nib
