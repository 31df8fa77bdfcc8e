// A model as everything else knows it: its configuration, its parameters, and its forward pass as a function over Graph.
// Families are found by name in model/architecture.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "model/config.h"
#include "model/parameters.h"
#include "model/trace.h"

namespace nib {

/// Keys and values of the layers, and which of them each row sees: engines run rows of several texts side by side. Those of
/// attention to a source lie by the source's number instead of the text's.
struct CacheInputs {
    std::span<const KvCache> layers;
    Tensor slots, spans;  // (1,R), (1,R,2) int32: as in Graph::attention_cached
};

/// What a forward pass needs.
struct ModelInputs {
    const Weights& weights;
    Tensor ids, positions;                // (B,T) int32
    Tensor rotation{};                    // (B,T,n): of models with rotary positions, see Model::rope()
    Tensor spans{};                       // (B,T,2) int32 or none: which keys a row may see (AttentionOptions)
    float dropout = 0;                    // of embedding, attention and residual
    const CacheInputs* cache = nullptr;   // null: each sequence attends within itself
    Tensor sinusoids{}, sinusoid_rows{};  // (N,C), (B,T) int32: a table and its row for each token, of models with them

    // Of models with an encoder, one of the two: the source (B,S), encoded in the same graph, with `source_spans` (B,T,2),
    // or none where all of it is seen; or what Model::store_source() has left.
    const ModelInputs* source = nullptr;
    Tensor source_spans{};
    const CacheInputs* source_cache = nullptr;
    Trace* trace = nullptr;  // null: nothing is asked for

    void keep(Graph& g, const std::string& name, Tensor t) const {
        if (trace != nullptr) trace->keep(g, name, t);
    }
};

class Model {
public:
    virtual ~Model() = default;

    const ModelConfig& config() const { return config_; }
    /// In file order.
    std::span<const ParameterSpec> parameters() const { return list_.specs(); }
    /// Hidden states after the last norm, (B,T,C).
    virtual Tensor hidden(Graph& g, const ModelInputs& in) const = 0;
    /// Of models with an encoder: encodes `source` (1,S), and stores the keys and values by which each layer of the decoder
    /// will attend to it. Inference only.
    virtual void store_source(Graph& g, const ModelInputs& source, const CacheInputs& cache) const;
    /// The head of the language model: hidden states to logits (V).
    const LinearParameters& head() const { return head_; }

protected:
    explicit Model(const ModelConfig& config) : config_(config) {}

    const ModelConfig config_;
    ParameterList list_;
    LinearParameters head_;
};

inline void Model::store_source(Graph&, const ModelInputs&, const CacheInputs&) const {
    fail("the model has no encoder that could read a source");
}

}  // namespace nib
