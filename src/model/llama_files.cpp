// Llama, Mistral and Qwen2 as transformers saves them, and Llama as Meta and llama2.c do.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "model/families.h"
#include "model/hf_config.h"

namespace nib {
namespace {

// The pairs of a head are halves here; whether they are in a GGUF file, RopeConfig::interleaved says.
constexpr StoredAs kHfBody[] = {
    {"token_embd",        {"embed_tokens"},                      kNoBias,     Order::Same  },
    {"blk.#.attn_norm",   {"layers.#.input_layernorm"},          kNoBias,     Order::Same  },
    {"blk.#.attn_q",      {"layers.#.self_attn.q_proj"},         kWeightBias, Order::Halves},
    {"blk.#.attn_k",      {"layers.#.self_attn.k_proj"},         kWeightBias, Order::Halves},
    {"blk.#.attn_v",      {"layers.#.self_attn.v_proj"},         kWeightBias, Order::Same  },
    {"blk.#.attn_output", {"layers.#.self_attn.o_proj"},         kWeightBias, Order::Same  },
    {"blk.#.ffn_norm",    {"layers.#.post_attention_layernorm"}, kNoBias,     Order::Same  },
    {"blk.#.ffn_gate",    {"layers.#.mlp.gate_proj"},            kWeightBias, Order::Same  },
    {"blk.#.ffn_up",      {"layers.#.mlp.up_proj"},              kWeightBias, Order::Same  },
    {"blk.#.ffn_down",    {"layers.#.mlp.down_proj"},            kWeightBias, Order::Same  },
    {"output_norm",       {"norm"},                              kNoBias,     Order::Same  },
};
constexpr StoredAs kHfHeads[] = {
    {"output",     {"lm_head"}, kNoBias},
    {"cls.output", {"score"},   kNoBias},
};
constexpr std::string_view kHfConstants[] = {"layers.#.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"};

// Here they are neighbours, as in GGUF files of Llama.
constexpr StoredAs kMetaBody[] = {
    {"token_embd",        {"tok_embeddings"},           kNoBias},
    {"blk.#.attn_norm",   {"layers.#.attention_norm"},  kNoBias},
    {"blk.#.attn_q",      {"layers.#.attention.wq"},    kNoBias},
    {"blk.#.attn_k",      {"layers.#.attention.wk"},    kNoBias},
    {"blk.#.attn_v",      {"layers.#.attention.wv"},    kNoBias},
    {"blk.#.attn_output", {"layers.#.attention.wo"},    kNoBias},
    {"blk.#.ffn_norm",    {"layers.#.ffn_norm"},        kNoBias},
    {"blk.#.ffn_gate",    {"layers.#.feed_forward.w1"}, kNoBias},
    {"blk.#.ffn_up",      {"layers.#.feed_forward.w3"}, kNoBias},
    {"blk.#.ffn_down",    {"layers.#.feed_forward.w2"}, kNoBias},
    {"output_norm",       {"norm"},                     kNoBias},
};
constexpr StoredAs kMetaHeads[] = {
    {"output", {"output"}, kNoBias},
};
constexpr std::string_view kMetaConstants[] = {"rope.freqs", "freqs_cos", "freqs_sin", "layers.#.attention.mask",
                                               "layers.#.attention.inner_attention.rope.freqs"};

constexpr Layout kLlamaLayouts[] = {
    {.name = "Llama", .body = kHfBody,      .heads = kHfHeads, .constants = kHfConstants, .prefix = "model.", .tied = true},
    {.name = "Meta's Llama and llama2.c",
     .body = kMetaBody,
     .heads = kMetaHeads,
     .constants = kMetaConstants,
     .tied = true                                                                            },
};
constexpr Layout kQwen2Layouts[] = {
    {.name = "Qwen2", .body = kHfBody, .heads = kHfHeads, .constants = kHfConstants, .prefix = "model.", .tied = true},
};

constexpr HfType kLlamaTypes[] = {
    {"llama",   "Llama"  },
    {"mistral", "Mistral"}
};
constexpr HfType kQwen2Types[] = {
    {"qwen2", "Qwen2"}
};
constexpr HfClass kLlamaClasses[] = {
    {"LlamaForCausalLM",                 {},        false},
    {"LlamaForSequenceClassification",   {"class"}, false},
    {"MistralForSequenceClassification", {"class"}, false},
};
constexpr HfClass kQwen2Classes[] = {
    {"Qwen2ForCausalLM",               {},        false},
    {"Qwen2ForSequenceClassification", {"class"}, false},
};
constexpr Act kActs[] = {Act::Silu};
constexpr SizeKeys kSizes[] = {
    {&ModelConfig::layers,    {"num_hidden_layers", "n_layers"},          false},
    {&ModelConfig::heads,     {"num_attention_heads", "n_heads"},         false},
    {&ModelConfig::kv_heads,  {"num_key_value_heads", "n_kv_heads"},      true },
    {&ModelConfig::embd,      {"hidden_size", "dim"},                     false},
    {&ModelConfig::head_size, {"head_dim"},                               true },
    {&ModelConfig::context,   {"max_position_embeddings", "max_seq_len"}, false},
    {&ModelConfig::vocab,     {"vocab_size"},                             false},
    {&ModelConfig::ffn,       {"intermediate_size", "hidden_dim"},        false},
};

float positive(const JsonValue& value) {
    const auto number = static_cast<float>(value.number());
    if (!(number > 0) || !std::isfinite(number)) value.wrong("a number above 0");
    return number;
}

void read_rope(const JsonValue& json, ModelConfig& c) {
    RopeConfig& rope = c.rope;
    auto scaling = json.find("rope_parameters");  // since version 5 with rope_theta in it
    if (!scaling) scaling = json.find("rope_scaling");
    const auto theta = scaling && scaling->find("rope_theta") ? scaling->find("rope_theta") : json.find("rope_theta");
    if (theta) rope.base = positive(*theta);
    for (const auto& place : {std::optional(json), scaling})
        if (const auto part = place ? place->find("partial_rotary_factor") : std::nullopt; part && part->number() != 1)
            refuse_option(*part, "turning a part of each head");
    if (!scaling) return;
    for (const auto& [key, value] : scaling->raw().items())
        if (value.is_object()) refuse_option(scaling->get(key.c_str()), "positions by the kind of layer");
    auto type = scaling->find("rope_type");
    if (!type) type = scaling->find("type");  // before 4.43
    const std::string name = type ? type->text() : "default";
    if (name == "linear") {
        rope.factor = positive(scaling->get("factor"));
        if (rope.factor != 1) rope.scaling = RopeConfig::Scaling::Linear;
    } else if (name == "llama3") {
        rope.scaling = RopeConfig::Scaling::Llama3;
        rope.factor = positive(scaling->get("factor"));
        rope.low_frequency = positive(scaling->get("low_freq_factor"));
        rope.high_frequency = positive(scaling->get("high_freq_factor"));
        const auto original = scaling->find("original_max_position_embeddings");
        rope.original_context = original ? original->whole_number("a size", int64_t{1} << 30) : c.context;
    } else if (name != "default") {
        throw UnsupportedOption(type->where() + ": scaling of positions `" + printable(name, 60) +
                                "` is not supported; nib knows default, linear and llama3");
    }
}

// Attention within a window of the last tokens, unless it holds the whole context.
void refuse_window(const JsonValue& json, const ModelConfig& c) {
    const bool mistral = json.text_or("model_type", "") == "mistral";
    if (!mistral && !json.truth_or("use_sliding_window", false)) return;
    const auto found = json.find("sliding_window");
    if (!found && (!mistral || json.raw().contains("sliding_window"))) return;  // null
    const int64_t window = found ? found->whole_number("a size", INT32_MAX) : 4096;
    if (window >= c.context) return;
    throw UnsupportedOption(json.where() +
                            strprintf(" sliding_window: attention within %lld tokens of a context of %lld is "
                                      "not supported",
                                      static_cast<long long>(window), static_cast<long long>(c.context)));
}

void read_common(const JsonValue& json, ModelConfig& c) {
    if (!json.find("rms_norm_eps") && !json.find("norm_eps")) c.eps = 1e-6f;  // transformers' own
    refuse_encoder_decoder(json);
    read_rope(json, c);
    refuse_window(json, c);
}

void read_llama(const JsonValue& json, ModelConfig& c) {
    read_common(json, c);
    c.qkv_bias = c.output_bias = json.truth_or("attention_bias", false);
    c.ffn_bias = json.truth_or("mlp_bias", false);
}

void write_common(const ModelConfig& c, nlohmann::json& json) {
    const RopeConfig& rope = c.rope;
    if (rope.dimensions != c.head_dim())
        fail("the model turns %lld of the %lld numbers of a head, which transformers' class has not",
             static_cast<long long>(rope.dimensions), static_cast<long long>(c.head_dim()));
    json["head_dim"] = c.head_dim();
    json["rope_theta"] = shortest(rope.base);
    nlohmann::json& scaling = json["rope_scaling"] = nullptr;
    if (rope.scaling == RopeConfig::Scaling::None) return;
    const bool llama3 = rope.scaling == RopeConfig::Scaling::Llama3;
    scaling = {
        {"factor",    shortest(rope.factor)       },
        {"rope_type", llama3 ? "llama3" : "linear"}
    };
    if (!llama3) return;
    scaling["low_freq_factor"] = shortest(rope.low_frequency);
    scaling["high_freq_factor"] = shortest(rope.high_frequency);
    scaling["original_max_position_embeddings"] = rope.original_context;
}

void write_llama(const ModelConfig& c, nlohmann::json& json) {
    write_common(c, json);
    if (c.qkv_bias != c.output_bias)
        fail("the model has a bias on %s, but transformers' Llama has both or none",
             c.qkv_bias ? "queries, keys and values, none on the output of attention"
                        : "the output of attention, none on queries, keys and values");
    json["attention_bias"] = c.qkv_bias;
    json["mlp_bias"] = c.ffn_bias;
}

void write_qwen2(const ModelConfig& c, nlohmann::json& json) {
    write_common(c, json);
    if (!c.qkv_bias || c.output_bias || c.ffn_bias)
        fail("transformers' Qwen2 has biases on queries, keys and values and nowhere else, unlike the model");
    json["use_sliding_window"] = false;
}

constexpr CheckpointFormat format(std::span<const HfType> types, std::span<const HfClass> classes,
                                  std::span<const Layout> layouts, void (*read)(const JsonValue&, ModelConfig&),
                                  void (*write)(const ModelConfig&, nlohmann::json&)) {
    return {
        .types = types,
        .model_class = nullptr,
        .sizes = kSizes,
        .eps_keys = {"rms_norm_eps", "norm_eps"},
        .act_key = "hidden_act",
        .acts = kActs,
        .layouts = layouts,
        .read = read,
        .write = write,
        .classes = classes
    };
}

}  // namespace

constinit const CheckpointFormat kLlamaCheckpoints =
    format(kLlamaTypes, kLlamaClasses, kLlamaLayouts, read_llama, write_llama);
constinit const CheckpointFormat kQwen2Checkpoints =
    format(kQwen2Types, kQwen2Classes, kQwen2Layouts, read_common, write_qwen2);

}  // namespace nib
