// A model as everything else knows it: its configuration, its parameters, and its forward pass as a function over Graph.
// Families are found by name in model/architecture.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
    Tensor segments{};                    // (B,T) int32: of models with segments
    Tensor rotation{};                    // (B,T,n): of models with rotary positions, see Model::rope()
    Tensor sinusoids{}, sinusoid_rows{};  // (N,C), (B,T) int32: of models with sinusoids, a table and each token's row
    Tensor spans{};                       // (B,T,2) int32 or none: which keys a row may see (AttentionOptions)
    float dropout = 0;                    // of embedding, attention and residual
    const CacheInputs* cache = nullptr;   // null: each sequence attends within itself
    Trace* trace = nullptr;               // null: nothing is asked for

    // Of models with an encoder, one of the two: the source (B,S), encoded in the same graph, with `source_spans` (B,T,2),
    // or none where all of it is seen; or what Model::store_source() has left.
    const ModelInputs* source = nullptr;
    Tensor source_spans{};
    const CacheInputs* source_cache = nullptr;

    void keep(Graph& g, const std::string& name, Tensor t) const {
        if (trace != nullptr) trace->keep(g, name, t);
    }
};

/// Which hidden states of a text a head works on.
enum class HeadRows { Every, First, Last };

/// What hidden states are used for: `lm` the next token, `mlm` masked tokens, `nsp` whether the second text follows the
/// first, `class` the class of a text, `tag` that of each token, `span` where an answer begins and ends.
struct Head {
    const char* name;
    HeadRows rows;
    int64_t outputs;          // N, logits of a row
    LinearParameters output;  // (N,C), (N): its last step
};

class Model {
public:
    virtual ~Model() = default;

    const ModelConfig& config() const { return config_; }
    /// In file order.
    std::span<const ParameterSpec> parameters() const { return list_.specs(); }
    /// Hidden states after the last norm, (B,T,C).
    virtual Tensor hidden(Graph& g, const ModelInputs& in) const = 0;
    /// What hidden() makes of the last block's output x (B,T,C): the last norm, in families that have one.
    virtual Tensor last_norm(Graph&, const Weights&, Tensor x) const { return x; }
    /// Of models with an encoder: encodes sources, one behind the other (1,R), and stores the keys and values by which each
    /// layer of the decoder will attend to it. Inference only. Error for other models.
    virtual void store_source(Graph& g, const ModelInputs& source, const CacheInputs& cache) const;

    std::span<const Head> heads() const { return heads_; }
    /// Error that names those there are when the model has no such head.
    const Head& head(std::string_view name) const;
    /// What a head's last step works on: its rows of the hidden states, (B,T,C) -> (B,T,C).
    virtual Tensor features(Graph& g, const Weights& w, const Head& head, Tensor rows) const;
    /// The logits of a head for its rows of the hidden states, (B,T,C) -> (B,T,N).
    Tensor logits(Graph& g, const Weights& w, const Head& head, Tensor rows) const {
        return g.linear(features(g, w, head, rows), w[head.output]);
    }

protected:
    explicit Model(const ModelConfig& config) : config_(config) {}
    /// Of decoders, the heads of ModelConfig::task_heads: `class`, which names a text by its last token. Error for others.
    void add_task_heads();
    void add_head(const char* name, HeadRows rows, int64_t outputs, const LinearParameters& output) {
        heads_.push_back({name, rows, outputs, output});
    }

    const ModelConfig config_;
    ParameterList list_;

private:
    std::vector<Head> heads_;
};

}  // namespace nib
