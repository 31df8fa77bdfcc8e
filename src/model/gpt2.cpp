#include "model/gpt2.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"
#include "model/families.h"

namespace nib {

// Initialisation as in the paper: normal(0, 0.02), residual projections divided by sqrt(2 L).
Gpt2::Gpt2(const ModelConfig& c, Projections projections) : Model(c) {
    constexpr float kStd = 0.02f;
    const float residual_std = kStd / std::sqrt(2.0f * static_cast<float>(c.layers));
    const int64_t C = c.embd, F = c.feed_forward();
    tokens_ = list_.matrix("token_embd", c.vocab, C, kStd);
    positions_ = list_.matrix("position_embd", c.context, C, kStd);
    for (int64_t l = 0; l < c.layers; ++l) {
        const std::string name = block_name(static_cast<size_t>(l)) + ".";
        Block b;
        b.attn_norm = list_.layer_norm(name + "attn_norm", C, c.eps);
        if (projections == Projections::Fused) {
            b.attn_qkv = list_.linear(name + "attn_qkv", 3 * C, C, kStd, c.qkv_bias);
        } else {
            b.attn_q = list_.linear(name + "attn_q", C, C, kStd, c.qkv_bias);
            b.attn_k = list_.linear(name + "attn_k", C, C, kStd, c.qkv_bias);
            b.attn_v = list_.linear(name + "attn_v", C, C, kStd, c.qkv_bias);
        }
        b.attn_output = list_.linear(name + "attn_output", C, C, residual_std, true);
        b.ffn_norm = list_.layer_norm(name + "ffn_norm", C, c.eps);
        b.ffn.up = list_.linear(name + "ffn_up", F, C, kStd, true);
        b.ffn.down = list_.linear(name + "ffn_down", C, F, residual_std, true);
        blocks_.push_back(b);
    }
    output_norm_ = list_.layer_norm("output_norm", C, c.eps);
    add_head("lm", HeadRows::Every, c.vocab, {c.tied ? tokens_ : list_.matrix("output", c.vocab, C, kStd), {}});
    add_task_heads();
}

Tensor Gpt2::hidden(Graph& g, const ModelInputs& in) const {
    const Weights& w = in.weights;
    Tensor x = g.embed({in.ids, in.positions}, {w[tokens_], w[positions_]}, in.dropout);  // (B,T,C)
    in.keep(g, "embd", x);
    for (size_t l = 0; l < blocks_.size(); ++l) {
        const Block& b = blocks_[l];
        g.begin_block();
        const Qkv qkv = project(g, w, b, g.norm(x, w[b.attn_norm]));
        const Tensor mixed = self_attention(g, in, l, qkv, attention_options(config_, l));  // (B,T,C)
        x = g.linear(mixed, w[b.attn_output], {.residual = x, .dropout = in.dropout});      // (B,T,C)
        x = feed_forward(g, in, b.ffn, config_.act, g.norm(x, w[b.ffn_norm]), x);           // (B,T,C)
        in.keep(g, block_name(l), x);
    }
    return last_norm(g, w, x);
}

Tensor Gpt2::last_norm(Graph& g, const Weights& w, Tensor x) const { return g.norm(x, w[output_norm_]); }

// Queries, keys and values (B,T,C) of h (B,T,C).
Qkv Gpt2::project(Graph& g, const Weights& w, const Block& b, Tensor h) const {
    if (b.attn_qkv.w) return g.split_qkv(g.linear(h, w[b.attn_qkv]), config_.heads, config_.heads);
    return {g.linear(h, w[b.attn_q]), g.linear(h, w[b.attn_k]), g.linear(h, w[b.attn_v])};
}

void set_gpt_defaults(ModelConfig& c) {
    c.act = Act::GeluTanh;
    c.eps = 1e-5f;
    c.qkv_bias = c.output_bias = c.ffn_bias = true;
}

void complete_gpt(ModelConfig& c) {
    if (c.kv_heads != 0 && c.kv_heads != c.heads)
        fail_usage("%s has as many heads of keys and values as of queries: %lld", c.arch.c_str(),
                   static_cast<long long>(c.heads));
    c.kv_heads = 0;
    complete_attention(c);
}

void read_gpt_keys(const GgufFile& file, ModelConfig& c) {
    c.eps = file.get<float>(c.arch + ".attention.layer_norm_epsilon");
    c.act = read_activation(file, Act::GeluTanh);
    read_attention(file, c);
}

void write_gpt_keys(GgufWriter& file, const ModelConfig& c) {
    file.set(c.arch + ".attention.layer_norm_epsilon", c.eps);
    write_activation(file, c.act, Act::GeluTanh);
    write_attention(file, c);
}

namespace {

std::unique_ptr<Model> make(const ModelConfig& config) { return std::make_unique<Gpt2>(config); }

const char* beyond_llama_cpp(const ModelConfig& c) {
    if (c.act != Act::GeluTanh) return "llama.cpp knows no other activation than gelu_new for GPT-2";
    if (c.attention != AttentionConfig{}) return "llama.cpp scales GPT-2's attention scores by the head size only";
    return nullptr;
}

}  // namespace

constinit const Architecture kGpt2 = {
    .name = "gpt2",
    .title = "GPT-2",
    .make = make,
    .defaults = set_gpt_defaults,
    .complete = complete_gpt,
    .read = read_gpt_keys,
    .write = write_gpt_keys,
    .beyond_llama_cpp = beyond_llama_cpp,
    .checkpoints = &kGpt2Checkpoints,
    .heads = kDecoderHeads,
};

}  // namespace nib
