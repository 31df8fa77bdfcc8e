// What the blocks of several families share.
#pragma once

#include "model/model.h"

namespace nib {

/// Self-attention of a layer, within each sequence or with what its cache holds: (B,T,H*D).
inline Tensor self_attention(Graph& g, const ModelInputs& in, size_t layer, const Qkv& qkv, AttentionOptions options) {
    options.dropout = in.dropout;
    if (in.cache == nullptr) {
        options.spans = in.spans;
        return g.attention(qkv, options);
    }
    const KvCache& cache = in.cache->layers[layer];
    g.store(cache, qkv.k, qkv.v, in.cache->slots, in.positions);
    options.spans = in.cache->spans;
    return g.attention_cached(qkv.q, cache, in.cache->slots, options);
}

/// "blk.3.", as GGUF names the parameters of a block.
inline std::string block_name(int64_t layer) { return "blk." + std::to_string(layer) + "."; }

}  // namespace nib
