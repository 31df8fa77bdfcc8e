// Llama (Touvron et al. 2023) and its kin: pre-norm decoder with RMS norm, rotary positions, grouped queries and SwiGLU.
#include <algorithm>
#include <iterator>

#include "core/error.h"
#include "model/architecture.h"
#include "model/blocks.h"

namespace nib {
namespace {

class Llama : public Model {
public:
    // Initialisation as llama2.c's: normal(0, 0.02), residual projections divided by sqrt(2 L).
    explicit Llama(const ModelConfig& c) : Model(c) {
        constexpr float kStd = 0.02f;
        const float residual_std = kStd / std::sqrt(2.0f * static_cast<float>(c.layers));
        const int64_t C = c.embd, F = c.feed_forward(), Q = c.heads * c.head_dim(), K = c.kv() * c.head_dim();
        tokens_ = list_.matrix("token_embd", c.vocab, C, kStd);
        for (int64_t l = 0; l < c.layers; ++l) {
            const std::string name = block_name(static_cast<size_t>(l)) + ".";
            Block b;
            b.attn_norm = list_.rms_norm(name + "attn_norm", C, c.eps);
            b.attn_q = list_.linear(name + "attn_q", Q, C, kStd, c.qkv_bias);
            b.attn_k = list_.linear(name + "attn_k", K, C, kStd, c.qkv_bias);
            b.attn_v = list_.linear(name + "attn_v", K, C, kStd, c.qkv_bias);
            b.attn_output = list_.linear(name + "attn_output", C, Q, residual_std, c.output_bias);
            b.ffn_norm = list_.rms_norm(name + "ffn_norm", C, c.eps);
            b.ffn_gate = list_.linear(name + "ffn_gate", F, C, kStd, c.ffn_bias);
            b.ffn_up = list_.linear(name + "ffn_up", F, C, kStd, c.ffn_bias);
            b.ffn_down = list_.linear(name + "ffn_down", C, F, residual_std, c.ffn_bias);
            blocks_.push_back(b);
        }
        output_norm_ = list_.rms_norm("output_norm", C, c.eps);
        head_.w = c.tied ? tokens_ : list_.matrix("output", c.vocab, C, kStd);
    }

    Tensor hidden(Graph& g, const ModelInputs& in) const override {
        const Weights& w = in.weights;
        const ModelConfig& c = config_;
        const auto turned = [&](Tensor x, int64_t heads) {
            return g.rope(x, in.rotation, {heads, c.head_dim(), c.rope.interleaved});
        };
        Tensor x = g.embed({in.ids}, {w[tokens_]}, in.dropout);  // (B,T,C)
        in.keep(g, "embd", x);
        for (size_t l = 0; l < blocks_.size(); ++l) {
            const Block& b = blocks_[l];
            g.begin_block();
            Tensor h = g.norm(x, w[b.attn_norm]);  // (B,T,C)
            const Tensor q = turned(g.linear(h, w[b.attn_q]), c.heads), k = turned(g.linear(h, w[b.attn_k]), c.kv());
            const Tensor v = g.linear(h, w[b.attn_v]);                                                         // (B,T,G*D)
            const Tensor mixed = self_attention(g, in, l, {q, k, v}, {.heads = c.heads, .kv_heads = c.kv()});  // (B,T,H*D)
            x = g.linear(mixed, w[b.attn_output], {.residual = x, .dropout = in.dropout});                     // (B,T,C)
            h = g.norm(x, w[b.ffn_norm]);
            const Tensor gated = g.glu(g.linear(h, w[b.ffn_gate]), g.linear(h, w[b.ffn_up]), c.act);  // (B,T,F)
            x = g.linear(gated, w[b.ffn_down], {.residual = x, .dropout = in.dropout});               // (B,T,C)
            in.keep(g, block_name(l), x);
        }
        return g.norm(x, w[output_norm_]);
    }

private:
    struct Block {
        NormParameters attn_norm;
        LinearParameters attn_q, attn_k, attn_v, attn_output;  // (H*D,C), (G*D,C), (G*D,C), (C,H*D)
        NormParameters ffn_norm;
        LinearParameters ffn_gate, ffn_up, ffn_down;  // (F,C), (F,C), (C,F)
    };
    Parameter tokens_;  // (V,C)
    std::vector<Block> blocks_;
    NormParameters output_norm_;
};

}  // namespace

std::unique_ptr<Model> make_llama(const ModelConfig& config) { return std::make_unique<Llama>(config); }

void complete_llama(ModelConfig& c) {
    c.act = Act::Silu;
    c.qkv_bias = c.output_bias = c.ffn_bias = false;
    if (c.kv_heads == 0) c.kv_heads = c.heads;
    if (c.ffn == 0) c.ffn = (8 * c.embd / 3 + 31) / 32 * 32;
    c.rope.interleaved = true;
    c.rope.dimensions = c.heads > 0 ? c.head_dim() : 0;
}

namespace {

constexpr std::pair<const char*, RopeConfig::Scaling> kScalings[] = {
    {"none",   RopeConfig::Scaling::None  },
    {"linear", RopeConfig::Scaling::Linear},
    {"llama3", RopeConfig::Scaling::Llama3},
};

}  // namespace

void read_llama(const GgufFile& file, ModelConfig& c) {
    c.act = Act::Silu;
    c.eps = file.get<float>("llama.attention.layer_norm_rms_epsilon");
    c.kv_heads = file.get_or<int64_t>("llama.attention.head_count_kv", c.heads);
    c.head_size = file.get_or<int64_t>("llama.attention.key_length", 0);
    c.qkv_bias = file.find("blk.0.attn_q.bias") != nullptr;
    c.output_bias = file.find("blk.0.attn_output.bias") != nullptr;
    c.ffn_bias = file.find("blk.0.ffn_up.bias") != nullptr;
    RopeConfig& rope = c.rope;
    rope.interleaved = true;
    rope.dimensions = file.get_or<int64_t>("llama.rope.dimension_count", c.heads > 0 ? c.head_dim() : 0);
    rope.base = file.get_or<float>("llama.rope.freq_base", 10000.0f);
    const auto scaling = file.get_or<std::string>("llama.rope.scaling.type", "none");
    const auto* const known =
        std::find_if(std::begin(kScalings), std::end(kScalings), [&](const auto& s) { return scaling == s.first; });
    if (known == std::end(kScalings))
        fail("scaling of rotary positions `%s` is not supported; nib knows none, linear and llama3",
             printable(scaling).c_str());
    rope.scaling = known->second;
    rope.factor = file.get_or<float>("llama.rope.scaling.factor", 1.0f);
    rope.original_context = file.get_or<int64_t>("llama.rope.scaling.original_context_length", 0);
    rope.low_frequency = file.get_or<float>("nib.rope.scaling.low_freq_factor", 1.0f);
    rope.high_frequency = file.get_or<float>("nib.rope.scaling.high_freq_factor", 4.0f);
    if (!(rope.base > 0) || !(rope.factor > 0)) fail("rotary positions need a base and a factor above 0");
}

void write_llama(GgufWriter& file, const ModelConfig& c) {
    const RopeConfig& rope = c.rope;
    const auto size = [&](const char* key, int64_t value) {
        file.set(std::string("llama.") + key, static_cast<uint32_t>(value));
    };
    size("attention.head_count_kv", c.kv());
    size("rope.dimension_count", rope.dimensions);
    size("vocab_size", c.vocab);
    if (c.head_size > 0) size("attention.key_length", c.head_size), size("attention.value_length", c.head_size);
    file.set("llama.attention.layer_norm_rms_epsilon", c.eps);
    file.set("llama.rope.freq_base", rope.base);
    if (rope.scaling == RopeConfig::Scaling::None) return;
    file.set("llama.rope.scaling.type", std::string(kScalings[static_cast<size_t>(rope.scaling)].first));
    file.set("llama.rope.scaling.factor", rope.factor);
    if (rope.original_context > 0) size("rope.scaling.original_context_length", rope.original_context);
    if (rope.scaling != RopeConfig::Scaling::Llama3) return;
    file.set("nib.rope.scaling.low_freq_factor", rope.low_frequency);
    file.set("nib.rope.scaling.high_freq_factor", rope.high_frequency);
}

}  // namespace nib
