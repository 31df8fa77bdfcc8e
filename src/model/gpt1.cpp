// GPT-1 (Radford et al. 2018): transformer decoder with learned positions whose norms come after each residual sum, so that
// there is none at the end.
#include "model/blocks.h"
#include "model/families.h"
#include "model/gpt2.h"

namespace nib {
namespace {

class Gpt1 : public Model {
public:
    // Initialisation as in the paper: normal(0, 0.02).
    explicit Gpt1(const ModelConfig& c) : Model(c) {
        constexpr float kStd = 0.02f;
        const int64_t C = c.embd, F = c.feed_forward();
        tokens_ = list_.matrix("token_embd", c.vocab, C, kStd);
        positions_ = list_.matrix("position_embd", c.context, C, kStd);
        for (int64_t l = 0; l < c.layers; ++l) {
            const std::string name = block_name(static_cast<size_t>(l)) + ".";
            Block b;
            b.attn_qkv = list_.linear(name + "attn_qkv", 3 * C, C, kStd, true);
            b.attn_output = list_.linear(name + "attn_output", C, C, kStd, true);
            b.attn_output_norm = list_.layer_norm(name + "attn_output_norm", C, c.eps);
            b.ffn.up = list_.linear(name + "ffn_up", F, C, kStd, true);
            b.ffn.down = list_.linear(name + "ffn_down", C, F, kStd, true);
            b.layer_output_norm = list_.layer_norm(name + "layer_output_norm", C, c.eps);
            blocks_.push_back(b);
        }
        add_head("lm", HeadRows::Every, c.vocab, {c.tied ? tokens_ : list_.matrix("output", c.vocab, C, kStd), {}});
        add_task_heads();
    }

    Tensor hidden(Graph& g, const ModelInputs& in) const override {
        const Weights& w = in.weights;
        const int64_t H = config_.heads;
        Tensor x = g.embed({in.ids, in.positions}, {w[tokens_], w[positions_]}, in.dropout);  // (B,T,C)
        in.keep(g, "embd", x);
        for (size_t l = 0; l < blocks_.size(); ++l) {
            const Block& b = blocks_[l];
            g.begin_block();
            const Qkv qkv = g.split_qkv(g.linear(x, w[b.attn_qkv]), H, H);
            const Tensor mixed = self_attention(g, in, l, qkv, attention_options(config_, l));  // (B,T,C)
            x = g.linear(mixed, w[b.attn_output], {.residual = x, .dropout = in.dropout});      // (B,T,C)
            x = g.norm(x, w[b.attn_output_norm], true);
            x = g.norm(feed_forward(g, in, b.ffn, config_.act, x, x), w[b.layer_output_norm], true);  // (B,T,C)
            in.keep(g, block_name(l), x);
        }
        return x;
    }

private:
    struct Block {
        LinearParameters attn_qkv, attn_output;  // (3C,C), (C,C)
        NormParameters attn_output_norm;
        FeedForward ffn;
        NormParameters layer_output_norm;
    };
    Parameter tokens_, positions_;  // (V,C), (S,C)
    std::vector<Block> blocks_;
};

std::unique_ptr<Model> make(const ModelConfig& config) { return std::make_unique<Gpt1>(config); }

const char* beyond_llama_cpp(const ModelConfig&) { return "llama.cpp does not know GPT-1"; }

}  // namespace

constinit const Architecture kGpt1 = {
    .name = "openai-gpt",
    .title = "GPT-1",
    .make = make,
    .defaults = set_gpt_defaults,
    .complete = complete_gpt,
    .read = read_gpt_keys,
    .write = write_gpt_keys,
    .beyond_llama_cpp = beyond_llama_cpp,
    .checkpoints = &kGpt1Checkpoints,
    .heads = kDecoderHeads,
    .lr_scale = kPostNormLr,
};

}  // namespace nib
