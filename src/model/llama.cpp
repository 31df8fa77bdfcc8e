// Llama (Touvron et al. 2023) and its kin, Qwen2 among them: pre-norm decoder with RMS norm, rotary positions, grouped
// queries and SwiGLU.
#include <cstring>

#include "core/error.h"
#include "model/blocks.h"
#include "model/families.h"
#include "model/rope.h"

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
        add_head("lm", HeadRows::Every, c.vocab, {c.tied ? tokens_ : list_.matrix("output", c.vocab, C, kStd), {}});
        add_task_heads();
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
            const Tensor v = g.linear(h, w[b.attn_v]);                                          // (B,T,G*D)
            const Tensor mixed = self_attention(g, in, l, {q, k, v}, attention_options(c, l));  // (B,T,H*D)
            x = g.linear(mixed, w[b.attn_output], {.residual = x, .dropout = in.dropout});      // (B,T,C)
            h = g.norm(x, w[b.ffn_norm]);
            const Tensor gated = g.glu(g.linear(h, w[b.ffn_gate]), g.linear(h, w[b.ffn_up]), c.act);  // (B,T,F)
            x = g.linear(gated, w[b.ffn_down], {.residual = x, .dropout = in.dropout});               // (B,T,C)
            in.keep(g, block_name(l), x);
        }
        return last_norm(g, w, x);
    }

    Tensor last_norm(Graph& g, const Weights& w, Tensor x) const override { return g.norm(x, w[output_norm_]); }

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

std::unique_ptr<Model> make(const ModelConfig& config) { return std::make_unique<Llama>(config); }

void set_defaults(ModelConfig& c) {
    c.act = Act::Silu;
    c.eps = 1e-5f;
    c.qkv_bias = c.output_bias = c.ffn_bias = false;
    c.rope = {.interleaved = true};
}

// Qwen2 has biases on queries, keys and values, and its rotary pairs lie in GGUF files as transformers has them.
void set_defaults_qwen2(ModelConfig& c) {
    set_defaults(c);
    c.qkv_bias = true;
    c.rope.interleaved = false;
}

void complete(ModelConfig& c) {
    if (c.heads <= 0) return;  // an error that others report
    if (c.kv_heads == 0) c.kv_heads = c.heads;
    if (c.ffn == 0) c.ffn = (8 * c.embd / 3 + 31) / 32 * 32;
    if (c.head_size > 0 && c.embd % c.heads == 0 && c.head_size == c.embd / c.heads) c.head_size = 0;
    c.rope.dimensions = c.head_dim();
}

constexpr const char* kFactors = "rope_freqs.weight";  // by which llama.cpp divides the frequencies of the pairs
constexpr std::string_view kOtherTensors[] = {kFactors};

// llama.cpp has Llama 3's scaling as a tensor of factors; what they were made of is in keys of nib's own, if nib made them.
void read_factors(const GgufFile& file, RopeConfig& rope) {
    const GgufTensor& tensor = file.tensor(kFactors);
    if (tensor.type != DType::F32 || tensor.shape != std::vector<int64_t>{rope.dimensions / 2})
        file.wrong(strprintf("tensor `%s` should be %lld numbers of type f32", kFactors,
                             static_cast<long long>(rope.dimensions / 2)));
    if (rope.scaling != RopeConfig::Scaling::None)
        file.wrong(strprintf("positions are scaled twice: by a key and by `%s`", kFactors));
    if (file.get_or<std::string>("nib.rope.scaling.type", "") == "llama3") {
        rope.scaling = RopeConfig::Scaling::Llama3;
        rope.factor = file.get<float>("nib.rope.scaling.factor");
        rope.low_frequency = file.get<float>("nib.rope.scaling.low_freq_factor");
        rope.high_frequency = file.get<float>("nib.rope.scaling.high_freq_factor");
        rope.original_context = file.get<int64_t>("nib.rope.scaling.original_context_length");
        return;
    }
    std::vector<float> factors(static_cast<size_t>(rope.dimensions / 2));
    std::memcpy(factors.data(), tensor.data.data(), tensor.data.size());
    if (!set_llama3_factors(rope, factors))
        file.wrong(strprintf("tensor `%s` scales positions in a way that nib does not know", kFactors));
}

void read_rope(const GgufFile& file, const std::string& prefix, ModelConfig& c) {
    RopeConfig& rope = c.rope;
    rope.dimensions = file.get_or<int64_t>(prefix + "rope.dimension_count", c.head_dim());
    rope.base = file.get_or<float>(prefix + "rope.freq_base", 10000.0f);
    const auto scaling = file.get_or<std::string>(prefix + "rope.scaling.type", "linear");
    if (scaling != "none" && scaling != "linear")
        file.wrong("scaling of rotary positions `" + printable(scaling) +
                   "` is not supported; nib knows none, linear and Llama 3's");
    const auto old = file.get_or<float>(prefix + "rope.scale_linear", 1.0f);
    rope.factor = scaling == "none" ? 1 : file.get_or<float>(prefix + "rope.scaling.factor", old);
    if (rope.factor == 0) rope.factor = 1;
    if (rope.factor != 1) rope.scaling = RopeConfig::Scaling::Linear;
    if (rope.dimensions < 2 || rope.dimensions > c.head_dim())
        file.wrong(strprintf("%lld rotary dimensions make no sense for heads of %lld numbers",
                             static_cast<long long>(rope.dimensions), static_cast<long long>(c.head_dim())));
    if (file.find(kFactors) != nullptr) read_factors(file, rope);
}

void read_keys(const GgufFile& file, ModelConfig& c) {
    const std::string prefix = c.arch + ".";
    c.eps = file.get<float>(prefix + "attention.layer_norm_rms_epsilon");
    c.kv_heads = file.get_or<int64_t>(prefix + "attention.head_count_kv", c.heads);
    c.head_size = file.get_or<int64_t>(prefix + "attention.key_length", 0);
    if (file.get_or<int64_t>(prefix + "attention.value_length", c.head_size) != c.head_size)
        file.wrong("heads of keys and of values have different sizes, which nib does not compute");
    if (file.get_or<int64_t>(prefix + "expert_count", 0) > 0) file.wrong("a mixture of experts is not supported");
    const auto window = file.get_or<int64_t>(prefix + "attention.sliding_window", 0);
    if (window > 0 && window < c.context)
        file.wrong(strprintf("attention within %lld tokens of a context of %lld is not supported",
                             static_cast<long long>(window), static_cast<long long>(c.context)));
    const auto has = [&](const char* bias) { return file.find(bias) != nullptr; };
    c.qkv_bias = has("blk.0.attn_q.bias");
    c.output_bias = has("blk.0.attn_output.bias");
    c.ffn_bias = has("blk.0.ffn_up.bias");
    read_rope(file, prefix, c);
}

void write_keys(GgufWriter& file, const ModelConfig& c) {
    const RopeConfig& rope = c.rope;
    const std::string prefix = c.arch + ".";
    const auto size = [&](const std::string& key, int64_t value) { file.set(key, static_cast<uint32_t>(value)); };
    size(prefix + "attention.head_count_kv", c.kv());
    size(prefix + "rope.dimension_count", rope.dimensions);
    size(prefix + "vocab_size", c.vocab);
    if (c.head_size > 0)
        for (const char* key : {"attention.key_length", "attention.value_length"}) size(prefix + key, c.head_size);
    file.set(prefix + "attention.layer_norm_rms_epsilon", c.eps);
    file.set(prefix + "rope.freq_base", rope.base);
    if (rope.scaling == RopeConfig::Scaling::Linear) {
        file.set(prefix + "rope.scaling.type", std::string("linear"));
        file.set(prefix + "rope.scaling.factor", rope.factor);
    }
    if (rope.scaling != RopeConfig::Scaling::Llama3) return;
    file.set("nib.rope.scaling.type", std::string("llama3"));
    file.set("nib.rope.scaling.factor", rope.factor);
    file.set("nib.rope.scaling.low_freq_factor", rope.low_frequency);
    file.set("nib.rope.scaling.high_freq_factor", rope.high_frequency);
    size("nib.rope.scaling.original_context_length", rope.original_context);
    file.add(kFactors, DType::F32, {rope.dimensions / 2}, [rope](const GgufWriter::Sink& sink) {
        const std::vector<float> factors = llama3_factors(rope);
        sink(std::as_bytes(std::span(factors)));
    });
}

}  // namespace

constinit const Architecture kLlama = {
    .name = "llama",
    .title = "Llama",
    .make = make,
    .defaults = set_defaults,
    .complete = complete,
    .read = read_keys,
    .write = write_keys,
    .beyond_llama_cpp = nullptr,
    .checkpoints = &kLlamaCheckpoints,
    .heads = kDecoderHeads,
    .other_tensors = kOtherTensors,
};

constinit const Architecture kQwen2 = {
    .name = "qwen2",
    .title = "Qwen2",
    .make = make,
    .defaults = set_defaults_qwen2,
    .complete = complete,
    .read = read_keys,
    .write = write_keys,
    .beyond_llama_cpp = nullptr,
    .checkpoints = &kQwen2Checkpoints,
    .heads = kDecoderHeads,
    .other_tensors = kOtherTensors,
};

}  // namespace nib
