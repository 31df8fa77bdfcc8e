// GPT-2 (Radford et al. 2019): pre-norm transformer decoder with learned positions.
#include "core/error.h"
#include "model/blocks.h"
#include "model/families.h"

namespace nib {
namespace {

class Gpt2 : public Model {
public:
    // Initialisation as in the paper: normal(0, 0.02), residual projections divided by sqrt(2 L).
    explicit Gpt2(const ModelConfig& c) : Model(c) {
        constexpr float kStd = 0.02f;
        const float residual_std = kStd / std::sqrt(2.0f * static_cast<float>(c.layers));
        const int64_t C = c.embd, F = c.feed_forward();
        tokens_ = list_.matrix("token_embd", c.vocab, C, kStd);
        positions_ = list_.matrix("position_embd", c.context, C, kStd);
        for (int64_t l = 0; l < c.layers; ++l) {
            const std::string name = block_name(static_cast<size_t>(l)) + ".";
            Block b;
            b.attn_norm = list_.layer_norm(name + "attn_norm", C, c.eps);
            b.attn_qkv = list_.linear(name + "attn_qkv", 3 * C, C, kStd, true);
            b.attn_output = list_.linear(name + "attn_output", C, C, residual_std, true);
            b.ffn_norm = list_.layer_norm(name + "ffn_norm", C, c.eps);
            b.ffn_up = list_.linear(name + "ffn_up", F, C, kStd, true);
            b.ffn_down = list_.linear(name + "ffn_down", C, F, residual_std, true);
            blocks_.push_back(b);
        }
        output_norm_ = list_.layer_norm("output_norm", C, c.eps);
        add_head("lm", HeadRows::Every, c.vocab, {c.tied ? tokens_ : list_.matrix("output", c.vocab, C, kStd), {}});
    }

    Tensor hidden(Graph& g, const ModelInputs& in) const override {
        const Weights& w = in.weights;
        const int64_t H = config_.heads;
        Tensor x = g.embed({in.ids, in.positions}, {w[tokens_], w[positions_]}, in.dropout);  // (B,T,C)
        in.keep(g, "embd", x);
        for (size_t l = 0; l < blocks_.size(); ++l) {
            const Block& b = blocks_[l];
            g.begin_block();
            const Tensor qkv = g.linear(g.norm(x, w[b.attn_norm]), w[b.attn_qkv]);                    // (B,T,3C)
            const Tensor mixed = self_attention(g, in, l, g.split_qkv(qkv, H, H), {.heads = H});      // (B,T,C)
            x = g.linear(mixed, w[b.attn_output], {.residual = x, .dropout = in.dropout});            // (B,T,C)
            const Tensor up = g.linear(g.norm(x, w[b.ffn_norm]), w[b.ffn_up], {.act = config_.act});  // (B,T,F)
            x = g.linear(up, w[b.ffn_down], {.residual = x, .dropout = in.dropout});                  // (B,T,C)
            in.keep(g, block_name(l), x);
        }
        return g.norm(x, w[output_norm_]);
    }

private:
    struct Block {
        NormParameters attn_norm;
        LinearParameters attn_qkv, attn_output;  // (3C,C), (C,C)
        NormParameters ffn_norm;
        LinearParameters ffn_up, ffn_down;  // (F,C), (C,F)
    };
    Parameter tokens_, positions_;  // (V,C), (S,C)
    std::vector<Block> blocks_;
    NormParameters output_norm_;
};

std::unique_ptr<Model> make(const ModelConfig& config) { return std::make_unique<Gpt2>(config); }

void set_defaults(ModelConfig& c) {
    c.act = Act::GeluTanh;
    c.eps = 1e-5f;
    c.qkv_bias = c.output_bias = c.ffn_bias = true;
}

void complete(ModelConfig& c) {
    if (c.kv_heads != 0 && c.kv_heads != c.heads)
        fail_usage("gpt2 has as many heads of keys and values as of queries: %lld", static_cast<long long>(c.heads));
    c.kv_heads = 0;
}

void read_keys(const GgufFile& file, ModelConfig& c) {
    c.eps = file.get<float>("gpt2.attention.layer_norm_epsilon");
    c.act = read_activation(file, Act::GeluTanh);
}

void write_keys(GgufWriter& file, const ModelConfig& c) {
    file.set("gpt2.attention.layer_norm_epsilon", c.eps);
    write_activation(file, c.act, Act::GeluTanh);
}

const char* beyond_llama_cpp(const ModelConfig& c) {
    return c.act == Act::GeluTanh ? nullptr : "llama.cpp knows no other activation than gelu_new for GPT-2";
}

}  // namespace

constinit const Architecture kGpt2 = {
    .name = "gpt2",
    .title = "GPT-2",
    .make = make,
    .defaults = set_defaults,
    .complete = complete,
    .read = read_keys,
    .write = write_keys,
    .beyond_llama_cpp = beyond_llama_cpp,
    .checkpoints = &kGpt2Checkpoints,
};

}  // namespace nib
