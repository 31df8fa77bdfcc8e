#include "model/gpt.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quant/quantize.h"

namespace nib {

namespace {

// Self-attention of layer l: within each sequence, or with what its cache holds.
Tensor attend(Graph& g, const GptInputs& in, size_t l, Tensor qkv, AttentionOptions options) {
    const Qkv parts = g.split_qkv(qkv, options.heads, options.heads);
    if (!in.cache) return g.attention(parts, options);
    const KvCache& cache = (*in.cache)[l];
    g.store(cache, parts.k, parts.v, in.slots, in.positions);
    options.spans = in.spans;
    return g.attention_cached(parts.q, cache, in.slots, options);
}

}  // namespace

Tensor gpt(Graph& g, const GptConfig& config, const GptWeights& weights, const GptInputs& in) {
    Tensor x = g.embed({in.ids, in.positions}, {weights.wte, weights.wpe}, in.dropout);  // (B,T,C)
    for (size_t l = 0; l < weights.blocks.size(); ++l) {
        const GptWeights::Block& w = weights.blocks[l];
        g.begin_block();
        const Tensor qkv = g.linear(g.norm(x, w.attn_norm), w.attn_qkv);                                    // (B,T,3C)
        const Tensor mixed = attend(g, in, l, qkv, {.heads = config.heads, .dropout = in.dropout});         // (B,T,C)
        x = g.linear(mixed, w.attn_output, {.residual = x, .dropout = in.dropout});                         // (B,T,C)
        const Tensor hidden = g.linear(g.norm(x, w.ffn_norm), w.ffn_up, {.act = config.act});               // (B,T,F)
        x = g.linear(hidden, w.ffn_down, {.residual = x, .dropout = in.dropout});                           // (B,T,C)
    }
    return g.norm(x, weights.output_norm);
}

GptWeights gpt_weights(const GptConfig& c, const std::function<Weight(const ParameterSpec&)>& place) {
    using Init = ParameterSpec::Init;
    constexpr float kStd = 0.02f;
    const float residual_std = kStd / std::sqrt(2.0f * static_cast<float>(c.layers));
    const auto matrix = [&](const std::string& name, int64_t rows, int64_t columns, float std) {
        return place({
            name + ".weight", {rows, columns},
               Init::Normal, std, true
        });
    };
    const auto norm = [&](const std::string& name) {
        NormWeights w;
        w.gain = place({name + ".weight", {c.embd}, Init::One, 0, false});
        w.bias = place({name + ".bias", {c.embd}, Init::Zero, 0, false});
        w.eps = c.eps;
        return w;
    };
    const auto linear = [&](const std::string& name, int64_t rows, int64_t columns, float std) {
        LinearWeights w;
        w.w = matrix(name, rows, columns, std);
        w.b = place({name + ".bias", {rows}, Init::Zero, 0, false});
        return w;
    };
    GptWeights w;
    w.wte = matrix("token_embd", c.vocab, c.embd, kStd);
    w.wpe = matrix("position_embd", c.context, c.embd, kStd);
    for (int64_t l = 0; l < c.layers; ++l) {
        const std::string block = "blk." + std::to_string(l) + ".";
        GptWeights::Block b;
        b.attn_norm = norm(block + "attn_norm");
        b.attn_qkv = linear(block + "attn_qkv", 3 * c.embd, c.embd, kStd);
        b.attn_output = linear(block + "attn_output", c.embd, c.embd, residual_std);
        b.ffn_norm = norm(block + "ffn_norm");
        b.ffn_up = linear(block + "ffn_up", c.feed_forward(), c.embd, kStd);
        b.ffn_down = linear(block + "ffn_down", c.embd, c.feed_forward(), residual_std);
        w.blocks.push_back(std::move(b));
    }
    w.output_norm = norm("output_norm");
    w.output = c.tied ? w.wte : matrix("output", c.vocab, c.embd, kStd);
    return w;
}

std::vector<ParameterSpec> gpt_parameters(const GptConfig& config) {
    std::vector<ParameterSpec> specs;
    gpt_weights(config, [&](const ParameterSpec& spec) {
        specs.push_back(spec);
        return Weight{};
    });
    return specs;
}

GptWeights gpt_weights(const GptConfig& config, const GgufFile& file, int buffer) {
    return gpt_weights(config, [&](const ParameterSpec& spec) {
        const GgufTensor& tensor = file.tensor(spec.name);
        Shape shape;
        for (const int64_t d : tensor.shape) shape.dims[static_cast<size_t>(shape.rank++)] = d;
        if (shape != spec.shape)
            fail("%s: tensor `%s` has shape %s, but the model's sizes ask for %s", file.name().c_str(), spec.name.c_str(),
                 shape.text().c_str(), spec.shape.text().c_str());
        const bool matrix = spec.shape.rank == 2;
        if (matrix ? !quant::can_unpack(tensor.type) : tensor.type != DType::F32)
            fail("%s: tensor `%s` is stored as %s; nib runs %s", file.name().c_str(), spec.name.c_str(),
                 dtype_info(tensor.type)->name,
                 matrix ? "f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1 and q2_k to q6_k" : "norms and biases of f32 only");
        const auto offset = static_cast<size_t>(tensor.data.data() - file.bytes().data());
        return Weight{
            spec.name, spec.shape, tensor.type, {buffer,           offset},
               {                }
        };
    });
}

int map_weights(Backend& backend, const GgufFile& file) {
    std::vector<size_t> cuts;
    for (const GgufTensor& t : file.tensors()) {
        fit_segment(0, t.data.size(), backend.segment(), t.name);
        cuts.push_back(static_cast<size_t>(t.data.data() - file.bytes().data()));
    }
    std::sort(cuts.begin(), cuts.end());
    return backend.map_weights(file.bytes(), cuts);
}

}  // namespace nib
