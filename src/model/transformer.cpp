// The Transformer of Vaswani et al. 2017: an encoder reads a source, a decoder writes with attention to it. Positions are
// sinusoids; norms come after each residual sum, or, as an option, before each part.
#include "core/error.h"
#include "model/blocks.h"
#include "model/families.h"
#include "model/gpt2.h"
#include "model/tensor_names.h"

namespace nib {
namespace {

// Of a matrix (Glorot, Bengio 2010).
float xavier(int64_t rows, int64_t columns) { return std::sqrt(2.0f / static_cast<float>(rows + columns)); }

std::string encoder_block(size_t layer) { return "enc." + block_name(layer); }

class Transformer : public Model {
public:
    explicit Transformer(const ModelConfig& c) : Model(c) {
        const bool pre = c.encoder_decoder.pre_norm;
        const float std = 1 / std::sqrt(static_cast<float>(c.embd));
        tokens_ = list_.matrix("token_embd", c.vocab, c.embd, std);
        source_tokens_ = c.source_vocab > 0 ? list_.matrix("enc.token_embd", c.source_vocab, c.embd, std) : tokens_;
        for (int64_t l = 0; l < c.encoder_layers; ++l)
            encoder_.push_back(declare_block(encoder_block(static_cast<size_t>(l)) + ".", false));
        if (pre) encoder_norm_ = list_.layer_norm("enc.output_norm", c.embd, c.eps);
        for (int64_t l = 0; l < c.layers; ++l)
            decoder_.push_back(declare_block(block_name(static_cast<size_t>(l)) + ".", true));
        if (pre) output_norm_ = list_.layer_norm("output_norm", c.embd, c.eps);
        const Parameter head = c.tied ? tokens_ : list_.matrix("output", c.vocab, c.embd, std);
        add_head("lm", HeadRows::Every, c.vocab,
                 {head, c.encoder_decoder.head_bias ? list_.bias("output", c.vocab) : Parameter{}});
    }

    Tensor hidden(Graph& g, const ModelInputs& in) const override {
        if (in.source == nullptr && in.source_cache == nullptr)
            fail("the model has an encoder: it predicts tokens only with a source that this reads");
        const Tensor source = in.source != nullptr ? encode(g, *in.source) : Tensor{};  // (B,S,C)
        Tensor x = embed(g, in, tokens_);                                               // (B,T,C)
        in.keep(g, "embd", x);
        for (size_t l = 0; l < decoder_.size(); ++l) {
            const Block& b = decoder_[l];
            g.begin_block();
            x = part(g, in, b.attn_norm, x, [&](Tensor h) {
                return project(g, in, b.attn, self_attention(g, in, l, qkv(g, in, b.attn, h, h), options()), x);
            });
            x = part(g, in, b.cross_norm, x,
                     [&](Tensor h) { return project(g, in, b.cross, cross_attention(g, in, l, h, source), x); });
            x = part(g, in, b.ffn_norm, x, [&](Tensor h) { return feed_forward(g, in, b.ffn, config_.act, h, x); });
            in.keep(g, block_name(l), x);
        }
        return last_norm(g, in.weights, x);
    }

    Tensor last_norm(Graph& g, const Weights& w, Tensor x) const override {
        return output_norm_.gain ? g.norm(x, w[output_norm_]) : x;
    }

    void store_source(Graph& g, const ModelInputs& source, const CacheInputs& cache) const override {
        const Tensor encoded = encode(g, source);  // (1,R,C)
        for (size_t l = 0; l < decoder_.size(); ++l) {
            const Attention& cross = decoder_[l].cross;
            g.store(cache.layers[l], g.linear(encoded, source.weights[cross.k]), g.linear(encoded, source.weights[cross.v]),
                    cache.slots, source.positions);
        }
    }

private:
    struct Attention {
        LinearParameters q, k, v, output;  // (C,C)
    };
    struct Block {
        NormParameters attn_norm;
        Attention attn;
        NormParameters cross_norm;  // of the decoder, as is
        Attention cross;
        NormParameters ffn_norm;
        FeedForward ffn;
    };

    // Norms that come after a sum have other names than those before.
    Block declare_block(const std::string& name, bool decoder) {
        const int64_t C = config_.embd, F = config_.feed_forward();
        const bool pre = config_.encoder_decoder.pre_norm;
        const auto norm = [&](bool here, const char* kind, NormParameters& to) {
            if (here) to = list_.layer_norm(name + kind, C, config_.eps);
        };
        const auto attention = [&](const std::string& prefix) {
            const auto linear = [&](const char* part) { return list_.linear(prefix + part, C, C, xavier(C, C), true); };
            Attention a;
            a.q = linear("_q"), a.k = linear("_k"), a.v = linear("_v"), a.output = linear("_output");
            return a;
        };
        Block b;
        norm(pre, "attn_norm", b.attn_norm);
        b.attn = attention(name + "attn");
        norm(!pre, "attn_output_norm", b.attn_norm);
        if (decoder) {
            norm(pre, "cross_attn_norm", b.cross_norm);
            b.cross = attention(name + "cross_attn");
            norm(!pre, "cross_attn_output_norm", b.cross_norm);
        }
        norm(pre, "ffn_norm", b.ffn_norm);
        b.ffn.up = list_.linear(name + "ffn_up", F, C, xavier(F, C), true);
        b.ffn.down = list_.linear(name + "ffn_down", C, F, xavier(C, F), true);
        norm(!pre, "layer_output_norm", b.ffn_norm);
        return b;
    }

    AttentionOptions options(bool causal = true) const { return {.heads = config_.heads, .causal = causal}; }

    Tensor embed(Graph& g, const ModelInputs& in, Parameter tokens) const {
        const float scale = config_.encoder_decoder.scale_embedding ? std::sqrt(static_cast<float>(config_.embd)) : 1;
        return g.embed({.ids = in.ids, .positions = in.sinusoid_rows, .position_table = in.sinusoids},
                       {.tokens = in.weights[tokens]}, in.dropout, scale);
    }

    // A part of a layer, which `apply` computes and adds to x, with its norm: (B,T,C).
    template <class Apply>
    Tensor part(Graph& g, const ModelInputs& in, const NormParameters& norm, Tensor x, const Apply& apply) const {
        if (config_.encoder_decoder.pre_norm) return apply(g.norm(x, in.weights[norm]));
        return g.norm(apply(x), in.weights[norm], true);
    }

    // Queries of h (B,T,C), keys and values of `from` (B,S,C).
    Qkv qkv(Graph& g, const ModelInputs& in, const Attention& a, Tensor h, Tensor from) const {
        const Weights& w = in.weights;
        return {g.linear(h, w[a.q]), g.linear(from, w[a.k]), g.linear(from, w[a.v])};
    }
    Tensor project(Graph& g, const ModelInputs& in, const Attention& a, Tensor mixed, Tensor x) const {
        return g.linear(mixed, in.weights[a.output], {.residual = x, .dropout = in.dropout});
    }

    // Attention of h (B,T,C) to the source, encoded (B,S,C) or in a cache.
    Tensor cross_attention(Graph& g, const ModelInputs& in, size_t layer, Tensor h, Tensor source) const {
        const Attention& a = decoder_[layer].cross;
        AttentionOptions o = options(false);
        if (in.source_cache != nullptr) {
            o.spans = in.source_cache->spans;
            return g.attention_cached(g.linear(h, in.weights[a.q]), in.source_cache->layers[layer], in.source_cache->slots,
                                      o);
        }
        o.spans = in.source_spans;
        o.dropout = in.dropout;
        return attend(g, in, block_name(layer) + ".cross_attn", qkv(g, in, a, h, source), o);
    }

    // (B,S,C)
    Tensor encode(Graph& g, const ModelInputs& in) const {
        Tensor x = embed(g, in, source_tokens_);
        in.keep(g, "enc.embd", x);
        AttentionOptions o = options(false);
        o.spans = in.spans;
        o.dropout = in.dropout;
        for (size_t l = 0; l < encoder_.size(); ++l) {
            const Block& b = encoder_[l];
            g.begin_block();
            x = part(g, in, b.attn_norm, x, [&](Tensor h) {
                return project(g, in, b.attn, attend(g, in, encoder_block(l) + ".attn", qkv(g, in, b.attn, h, h), o), x);
            });
            x = part(g, in, b.ffn_norm, x, [&](Tensor h) { return feed_forward(g, in, b.ffn, config_.act, h, x); });
            in.keep(g, encoder_block(l), x);
        }
        return encoder_norm_.gain ? g.norm(x, in.weights[encoder_norm_]) : x;
    }

    Parameter tokens_, source_tokens_;  // (V,C)
    std::vector<Block> encoder_, decoder_;
    NormParameters encoder_norm_, output_norm_;  // with pre_norm
};

std::unique_ptr<Model> make(const ModelConfig& config) { return std::make_unique<Transformer>(config); }

void defaults(ModelConfig& c) {
    set_gpt_defaults(c);
    c.act = Act::Relu;
}

// The encoder has as many layers as the decoder where nothing else is said.
void complete(ModelConfig& c) {
    complete_gpt(c);
    if (c.encoder_layers == 0) c.encoder_layers = c.layers;
}

constexpr const char* kEncoderLayers = "encoder_block_count";
constexpr const char* kNormFirst = "norm_first";
constexpr const char* kScale = "embedding_scale";         // whether embeddings are multiplied by sqrt(C)
constexpr const char* kStart = "decoder_start_token_id";  // llama.cpp's name
constexpr const char* kFirstPosition = "sinusoid_first_position";
constexpr int64_t kMostFirst = 1 << 20;
constexpr const char* kSlowestIsBase = "sinusoid_slowest_is_base";

void read(const GgufFile& file, ModelConfig& c) {
    const std::string prefix = c.arch + ".";
    EncoderDecoderConfig& e = c.encoder_decoder;
    read_gpt_keys(file, c);
    if (c.attention != AttentionConfig{}) file.wrong("a Transformer has no other attention scores than the usual ones");
    c.encoder_layers = file.get<int64_t>(prefix + kEncoderLayers);
    if (c.encoder_layers < 1)
        file.wrong(strprintf("key `%s%s` is %lld; it must be 1 or more", prefix.c_str(), kEncoderLayers,
                             static_cast<long long>(c.encoder_layers)));
    if (file.find(kSourceEmbedding) != nullptr) c.source_vocab = file.tensor(kSourceEmbedding).shape[0];
    e.pre_norm = file.get_or<bool>(prefix + kNormFirst, false);
    e.scale_embedding = file.get_or<bool>(prefix + kScale, true);
    e.head_bias = file.find(kHeadBias) != nullptr;
    e.start = file.get<int64_t>(prefix + kStart);
    e.first_position = file.get_or<int64_t>(prefix + kFirstPosition, 0);
    if (e.first_position < 0 || e.first_position > kMostFirst)
        file.wrong(strprintf("key `%s%s` is %lld; it must be between 0 and %lld", prefix.c_str(), kFirstPosition,
                             static_cast<long long>(e.first_position), static_cast<long long>(kMostFirst)));
    e.slowest_is_base = file.get_or<bool>(prefix + kSlowestIsBase, false);
    if (e.start < 0 || e.start >= c.vocab)
        file.wrong(strprintf("key `%s%s` is %lld, which is no token of %lld", prefix.c_str(), kStart,
                             static_cast<long long>(e.start), static_cast<long long>(c.vocab)));
}

void write(GgufWriter& file, const ModelConfig& c) {
    const std::string prefix = c.arch + ".";
    const EncoderDecoderConfig& e = c.encoder_decoder;
    write_gpt_keys(file, c);
    file.set(prefix + kEncoderLayers, static_cast<uint32_t>(c.encoder_layers));
    if (e.pre_norm) file.set(prefix + kNormFirst, true);
    if (!e.scale_embedding) file.set(prefix + kScale, false);
    file.set(prefix + kStart, static_cast<uint32_t>(e.start));
    if (e.first_position != 0) file.set(prefix + kFirstPosition, static_cast<uint32_t>(e.first_position));
    if (e.slowest_is_base) file.set(prefix + kSlowestIsBase, true);
}

const char* beyond_llama_cpp(const ModelConfig&) { return "llama.cpp knows no encoder-decoder with sinusoidal positions"; }

}  // namespace

constinit const Architecture kTransformer = {
    .name = "transformer",
    .title = "Transformer",
    .make = make,
    .defaults = defaults,
    .complete = complete,
    .read = read,
    .write = write,
    .beyond_llama_cpp = beyond_llama_cpp,
    .checkpoints = &kTransformerCheckpoints,
    .has_encoder = true,
    .lr_scale = kPostNormLr,
};

}  // namespace nib
