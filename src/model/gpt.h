// GPT-2 as a function over Graph: the one definition behind training, prefill and decode.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/graph.h"
#include "model/config.h"

namespace nib {

/// A parameter before it has a place: name in the file, shape, and how training starts and regularizes it.
struct ParameterSpec {
    enum class Init { Zero, One, Normal };
    std::string name;
    Shape shape;
    Init init = Init::Zero;
    float std = 0;       // of Init::Normal
    bool decay = false;  // weight decay: matrices and embeddings only
};

struct GptWeights {
    struct Block {
        NormWeights attn_norm;
        LinearWeights attn_qkv, attn_output;  // (3C,C), (C,C)
        NormWeights ffn_norm;
        LinearWeights ffn_up, ffn_down;  // (F,C), (C,F)
    };
    Weight wte, wpe;  // (V,C), (S,C)
    std::vector<Block> blocks;
    NormWeights output_norm;
    Weight output;  // (V,C); wte itself when tied
};

/// Walks over all parameters in file order; `place` says where each lies.
GptWeights gpt_weights(const GptConfig& config, const std::function<Weight(const ParameterSpec&)>& place);

/// The parameters in file order, with GPT-2's initialisation: normal(0, 0.02), residual projections / sqrt(2 L).
std::vector<ParameterSpec> gpt_parameters(const GptConfig& config);

/// Weights in place in a mapped file whose bytes are buffer `buffer`. Error when a tensor is missing or has another shape
/// than the configuration says.
GptWeights gpt_weights(const GptConfig& config, const GgufFile& file, int buffer);

/// The file's bytes as a buffer of the backend. Error when one of its tensors is too large for that.
int map_weights(Backend& backend, const GgufFile& file);

/// What the forward pass needs beside the weights.
struct GptInputs {
    Tensor ids, positions;                        // (B,T) int32
    float dropout = 0;                            // of embedding, attention and residual
    const std::vector<KvCache>* cache = nullptr;  // one per layer; null: each sequence attends within itself
    Tensor slots{}, spans{};                      // (B,T), (B,T,2) int32: with a cache, as in Graph::attention_cached
};

/// Hidden states after the final norm, (B,T,C). The head is Graph::cross_entropy or Graph::linear with weights.output.
Tensor gpt(Graph& g, const GptConfig& config, const GptWeights& weights, const GptInputs& inputs);

}  // namespace nib
