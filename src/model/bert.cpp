// BERT (Devlin et al. 2018): bidirectional encoder with segment embeddings and post-norm blocks.
#include "core/error.h"
#include "model/blocks.h"
#include "model/families.h"
#include "model/tensor_names.h"

namespace nib {
namespace {

class Bert : public Model {
public:
    // Initialisation as in the paper's code: normal(0, 0.02).
    explicit Bert(const ModelConfig& c) : Model(c) {
        const int64_t C = c.embd, F = c.feed_forward();
        tokens_ = list_.matrix("token_embd", c.vocab, C, kStd);
        positions_ = list_.matrix("position_embd", c.context, C, kStd);
        segments_ = list_.matrix("token_types", c.segments, C, kStd);
        embd_norm_ = list_.layer_norm("token_embd_norm", C, c.eps);
        for (int64_t l = 0; l < c.layers; ++l) {
            const std::string name = block_name(static_cast<size_t>(l)) + ".";
            Block b;
            b.attn_q = list_.linear(name + "attn_q", C, C, kStd, true);
            b.attn_k = list_.linear(name + "attn_k", C, C, kStd, true);
            b.attn_v = list_.linear(name + "attn_v", C, C, kStd, true);
            b.attn_output = list_.linear(name + "attn_output", C, C, kStd, true);
            b.attn_output_norm = list_.layer_norm(name + "attn_output_norm", C, c.eps);
            b.ffn_up = list_.linear(name + "ffn_up", F, C, kStd, true);
            b.ffn_down = list_.linear(name + "ffn_down", C, F, kStd, true);
            b.layer_output_norm = list_.layer_norm(name + "layer_output_norm", C, c.eps);
            blocks_.push_back(b);
        }
        if (c.pooler) pooler_ = list_.linear("cls", C, C, kStd, true);
        for (const HeadConfig& head : c.task_heads) declare_head(head);
    }

    Tensor hidden(Graph& g, const ModelInputs& in) const override {
        if (in.cache != nullptr) fail("an encoder reads a text as a whole: it has no cache of keys and values");
        const Weights& w = in.weights;
        const int64_t H = config_.heads;
        Tensor x = g.embed({in.ids, in.positions, in.segments}, {w[tokens_], w[positions_], w[segments_]}, in.dropout);
        x = g.norm(x, w[embd_norm_], true);  // (B,T,C)
        in.keep(g, "embd", x);
        for (size_t l = 0; l < blocks_.size(); ++l) {
            const Block& b = blocks_[l];
            g.begin_block();
            const Qkv qkv{g.linear(x, w[b.attn_q]), g.linear(x, w[b.attn_k]), g.linear(x, w[b.attn_v])};  // (B,T,C) each
            const Tensor mixed = self_attention(g, in, l, qkv, {.heads = H, .causal = false});            // (B,T,C)
            x = g.linear(mixed, w[b.attn_output], {.residual = x, .dropout = in.dropout});                // (B,T,C)
            x = g.norm(x, w[b.attn_output_norm], true);
            const Tensor up = g.linear(x, w[b.ffn_up], {.act = config_.act});         // (B,T,F)
            x = g.linear(up, w[b.ffn_down], {.residual = x, .dropout = in.dropout});  // (B,T,C)
            x = g.norm(x, w[b.layer_output_norm], true);
            in.keep(g, block_name(l), x);
        }
        return x;
    }

    Tensor features(Graph& g, const Weights& w, const Head& head, Tensor rows) const override {
        if (head.name == kMlm)
            return g.norm(g.linear(rows, w[mlm_dense_], {.act = config_.act, .floats = true}), w[mlm_norm_]);
        if (head.rows == HeadRows::First) return g.linear(rows, w[pooler_], {.act = Act::Tanh});
        return rows;
    }

private:
    static constexpr float kStd = 0.02f;
    static constexpr std::string_view kMlm = "mlm";

    void declare_head(const HeadConfig& head) {
        const int64_t C = config_.embd, N = head.outputs;
        if (head.name == kMlm) {
            mlm_dense_ = list_.linear("mlm.dense", C, C, kStd, true);
            mlm_norm_ = list_.layer_norm("mlm.norm", C, config_.eps);
            const Parameter w = config_.tied ? tokens_ : list_.matrix("output", N, C, kStd);
            add_head("mlm", HeadRows::Every, N, {w, list_.bias("output", N)});
        } else if (head.name == "nsp") {
            add_head("nsp", HeadRows::First, N, list_.linear("nsp.output", N, C, kStd, true));
        } else if (head.name == "class") {
            add_head("class", HeadRows::First, N, list_.linear("cls.output", N, C, kStd, true));
        } else if (head.name == "tag") {
            add_head("tag", HeadRows::Every, N, list_.linear("tag.output", N, C, kStd, true));
        } else if (head.name == "span") {
            add_head("span", HeadRows::Every, N, list_.linear("span.output", N, C, kStd, true));
        } else {
            fail("BERT has no head `%s`", printable(head.name, 60).c_str());
        }
    }

    struct Block {
        LinearParameters attn_q, attn_k, attn_v, attn_output;  // (C,C) each
        NormParameters attn_output_norm;
        LinearParameters ffn_up, ffn_down;  // (F,C), (C,F)
        NormParameters layer_output_norm;
    };
    Parameter tokens_, positions_, segments_;  // (V,C), (S,C), (L,C)
    NormParameters embd_norm_;
    std::vector<Block> blocks_;
    LinearParameters pooler_;     // (C,C)
    LinearParameters mlm_dense_;  // (C,C)
    NormParameters mlm_norm_;
};

std::unique_ptr<Model> make(const ModelConfig& config) { return std::make_unique<Bert>(config); }

void set_defaults(ModelConfig& c) {
    c.act = Act::GeluErf;
    c.eps = 1e-12f;
    c.qkv_bias = c.output_bias = c.ffn_bias = true;
}

constexpr HeadTensor kHeads[] = {
    {"mlm",   kHeadBias           },
    {"nsp",   "nsp.output.weight" },
    {"class", "cls.output.weight" },
    {"tag",   "tag.output.weight" },
    {"span",  "span.output.weight"},
};

// Error for heads that make no sense together with the rest.
void check_heads(const ModelConfig& c) {
    const auto expect = [&](const char* name, int64_t outputs) {
        const HeadConfig* head = c.find_head(name);
        if (head != nullptr && head->outputs != outputs)
            fail("the head `%s` has %lld outputs, not %lld", name, static_cast<long long>(head->outputs),
                 static_cast<long long>(outputs));
    };
    expect("mlm", c.vocab), expect("nsp", 2), expect("span", 2);
    for (const char* name : {"nsp", "class"})
        if (c.find_head(name) != nullptr && !c.pooler)
            fail("the head `%s` needs a pooler, which the model does not have", name);
}

void complete(ModelConfig& c) {
    if (c.kv_heads != 0 && c.kv_heads != c.heads)
        fail_usage("bert has as many heads of keys and values as of queries: %lld", static_cast<long long>(c.heads));
    c.kv_heads = 0;
    if (c.segments == 0) c.segments = 2;
    check_heads(c);
}

void read_keys(const GgufFile& file, ModelConfig& c) {
    c.eps = file.get<float>("bert.attention.layer_norm_epsilon");
    c.act = read_activation(file, Act::GeluErf);
    if (file.get_or<bool>("bert.attention.causal", false))
        file.wrong("key `bert.attention.causal` is true: a decoder is not supported");
    c.segments = file.tensor("token_types.weight").shape[0];
    c.pooler = file.find("cls.weight") != nullptr;
    try {
        check_heads(c);
    } catch (const Error& error) {
        file.wrong(error.what());
    }
}

void write_keys(GgufWriter& file, const ModelConfig& c) {
    file.set("bert.attention.layer_norm_epsilon", c.eps);
    file.set("bert.attention.causal", false);
    file.set("tokenizer.ggml.token_type_count", static_cast<uint32_t>(c.segments));
    write_activation(file, c.act, Act::GeluErf);
}

const char* beyond_llama_cpp(const ModelConfig& c) {
    for (const char* head : {"mlm", "nsp", "tag", "span"})
        if (c.find_head(head) != nullptr) return "llama.cpp has no heads for BERT other than for the class of a text";
    if (c.act != Act::GeluErf) return "llama.cpp knows no other activation than gelu for BERT";
    return c.pooling == Pooling::Max ? "llama.cpp knows no pooling by the largest value" : nullptr;
}

}  // namespace

constinit const Architecture kBert = {
    .name = "bert",
    .title = "BERT",
    .make = make,
    .defaults = set_defaults,
    .complete = complete,
    .read = read_keys,
    .write = write_keys,
    .beyond_llama_cpp = beyond_llama_cpp,
    .checkpoints = &kBertCheckpoints,
    .encoder_only = true,
    .heads = kHeads,
    .lr_scale = kPostNormLr,
};

}  // namespace nib
