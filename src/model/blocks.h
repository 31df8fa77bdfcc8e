// What the blocks of several families share.
#pragma once

#include <cmath>

#include "model/model.h"

namespace nib {

/// "blk.3", as traces name a block; with a dot after it GGUF begins the names of its parameters so.
inline std::string block_name(size_t layer) { return "blk." + std::to_string(layer); }

/// Heads, window and scale of a layer's self-attention.
inline AttentionOptions attention_options(const ModelConfig& c, size_t layer) {
    const AttentionConfig& a = c.attention;
    AttentionOptions options{.heads = c.heads, .kv_heads = c.kv(), .window = a.window_of(layer), .scale = a.scale};
    if (a.divide_by_layer) {
        const float whole = a.scale > 0 ? a.scale : 1 / std::sqrt(static_cast<float>(c.head_dim()));
        options.scale = whole / static_cast<float>(layer + 1);
    }
    return options;
}

/// Attention within a graph, whose weights a trace may want by `name`: (B,T,H*D).
inline Tensor attend(Graph& g, const ModelInputs& in, const std::string& name, const Qkv& qkv,
                     const AttentionOptions& options) {
    if (in.trace == nullptr || !in.trace->wants(name)) return g.attention(qkv, options);
    const Graph::Attended attended = g.attention_with_weights(qkv, options);
    in.trace->keep(g, name, attended.weights);
    return attended.y;
}

/// Self-attention of a layer, within each sequence or with what its cache holds: (B,T,H*D).
inline Tensor self_attention(Graph& g, const ModelInputs& in, size_t layer, const Qkv& qkv, AttentionOptions options) {
    options.dropout = in.dropout;
    if (in.cache == nullptr) {
        options.spans = in.spans;
        return attend(g, in, block_name(layer) + ".attn", qkv, options);
    }
    if (layer >= in.cache->layers.size()) fail("there is no cache for layer %zu", layer);
    const KvCache& cache = in.cache->layers[layer];
    g.store(cache, qkv.k, qkv.v, in.cache->slots, in.positions);
    options.spans = in.cache->spans;
    return g.attention_cached(qkv.q, cache, in.cache->slots, options);
}

/// The feed-forward layer without a gate, added to x: x + act(h up) down, (B,T,C).
struct FeedForward {
    LinearParameters up, down;  // (F,C), (C,F)
};
inline Tensor feed_forward(Graph& g, const ModelInputs& in, const FeedForward& f, Act act, Tensor h, Tensor x) {
    const Tensor up = g.linear(h, in.weights[f.up], {.act = act});                    // (B,T,F)
    return g.linear(up, in.weights[f.down], {.residual = x, .dropout = in.dropout});  // (B,T,C)
}

}  // namespace nib
