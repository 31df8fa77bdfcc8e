// What the blocks of several families share.
#pragma once

#include "model/model.h"

namespace nib {

/// "blk.3", as traces name a block; with a dot after it GGUF begins the names of its parameters so.
inline std::string block_name(size_t layer) { return "blk." + std::to_string(layer); }

/// Self-attention of a layer, within each sequence or with what its cache holds: (B,T,H*D).
inline Tensor self_attention(Graph& g, const ModelInputs& in, size_t layer, const Qkv& qkv, AttentionOptions options) {
    options.dropout = in.dropout;
    if (in.cache == nullptr) {
        options.spans = in.spans;
        const std::string name = block_name(layer) + ".attn";
        if (in.trace == nullptr || !in.trace->wants(name)) return g.attention(qkv, options);
        const Graph::Attended attended = g.attention_with_weights(qkv, options);
        in.trace->keep(g, name, attended.weights);
        return attended.y;
    }
    if (layer >= in.cache->layers.size()) fail("there is no cache for layer %zu", layer);
    const KvCache& cache = in.cache->layers[layer];
    g.store(cache, qkv.k, qkv.v, in.cache->slots, in.positions);
    options.spans = in.cache->spans;
    return g.attention_cached(qkv.q, cache, in.cache->slots, options);
}

}  // namespace nib
