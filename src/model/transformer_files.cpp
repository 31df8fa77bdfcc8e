// The Transformer as transformers saves it: Marian's.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/families.h"
#include "model/hf_config.h"

namespace nib {
namespace {

constexpr StoredAs kBody[] = {
    {"token_embd",                   {"shared"},                                   kNoBias    },
    {"token_embd",                   {"decoder.embed_tokens"},                     kNoBias    },
    {"enc.token_embd",               {"encoder.embed_tokens"},                     kNoBias    },
    {"enc.blk.#.attn_q",             {"encoder.layers.#.self_attn.q_proj"},        kWeightBias},
    {"enc.blk.#.attn_k",             {"encoder.layers.#.self_attn.k_proj"},        kWeightBias},
    {"enc.blk.#.attn_v",             {"encoder.layers.#.self_attn.v_proj"},        kWeightBias},
    {"enc.blk.#.attn_output",        {"encoder.layers.#.self_attn.out_proj"},      kWeightBias},
    {"enc.blk.#.attn_output_norm",   {"encoder.layers.#.self_attn_layer_norm"},    kWeightBias},
    {"enc.blk.#.ffn_up",             {"encoder.layers.#.fc1"},                     kWeightBias},
    {"enc.blk.#.ffn_down",           {"encoder.layers.#.fc2"},                     kWeightBias},
    {"enc.blk.#.layer_output_norm",  {"encoder.layers.#.final_layer_norm"},        kWeightBias},
    {"blk.#.attn_q",                 {"decoder.layers.#.self_attn.q_proj"},        kWeightBias},
    {"blk.#.attn_k",                 {"decoder.layers.#.self_attn.k_proj"},        kWeightBias},
    {"blk.#.attn_v",                 {"decoder.layers.#.self_attn.v_proj"},        kWeightBias},
    {"blk.#.attn_output",            {"decoder.layers.#.self_attn.out_proj"},      kWeightBias},
    {"blk.#.attn_output_norm",       {"decoder.layers.#.self_attn_layer_norm"},    kWeightBias},
    {"blk.#.cross_attn_q",           {"decoder.layers.#.encoder_attn.q_proj"},     kWeightBias},
    {"blk.#.cross_attn_k",           {"decoder.layers.#.encoder_attn.k_proj"},     kWeightBias},
    {"blk.#.cross_attn_v",           {"decoder.layers.#.encoder_attn.v_proj"},     kWeightBias},
    {"blk.#.cross_attn_output",      {"decoder.layers.#.encoder_attn.out_proj"},   kWeightBias},
    {"blk.#.cross_attn_output_norm", {"decoder.layers.#.encoder_attn_layer_norm"}, kWeightBias},
    {"blk.#.ffn_up",                 {"decoder.layers.#.fc1"},                     kWeightBias},
    {"blk.#.ffn_down",               {"decoder.layers.#.fc2"},                     kWeightBias},
    {"blk.#.layer_output_norm",      {"decoder.layers.#.final_layer_norm"},        kWeightBias},
};
constexpr StoredAs kHeads[] = {
    {"output",           {"lm_head"},         kNoBias      },
    { "output", {"final_logits_"}, {".weight", "bias"}, Order::OneRow}, // final_logits_bias
};
// Sinusoids, which older files have.
constexpr std::string_view kConstants[] = {"encoder.embed_positions.weight", "decoder.embed_positions.weight"};

constexpr Layout kLayouts[] = {
    {.name = "Marian", .body = kBody, .heads = kHeads, .constants = kConstants, .prefix = "model.", .tied = true},
};

constexpr HfType kTypes[] = {
    {"marian", "Marian"}
};
constexpr Act kActs[] = {Act::GeluErf, Act::Silu, Act::Relu, Act::GeluTanh};
constexpr NamedAct kActNames[] = {
    {"swish", Act::Silu}
};
constexpr SizeKeys kSizes[] = {
    {&ModelConfig::layers,         {"decoder_layers"}                  },
    {&ModelConfig::encoder_layers, {"encoder_layers"}                  },
    {&ModelConfig::heads,          {"decoder_attention_heads"}         },
    {&ModelConfig::embd,           {"d_model"}                         },
    {&ModelConfig::context,        {"max_position_embeddings"}         },
    {&ModelConfig::vocab,          {"decoder_vocab_size", "vocab_size"}},
    {&ModelConfig::ffn,            {"decoder_ffn_dim"}                 },
};
constexpr float kEps = 1e-5f;  // of all norms, which no key changes

void require_size(const JsonValue& json, const char* key, int64_t size) {
    const auto value = json.find(key);
    if (value && value->whole_number("a size", INT32_MAX) != size)
        refuse_option(*value, strprintf("anything but the decoder's %lld", static_cast<long long>(size)));
}

void read(const JsonValue& json, ModelConfig& c) {
    require_options(json, {
                              {"is_encoder_decoder",         true },
                              {"static_position_embeddings", true },
                              {"normalize_before",           false},
                              {"normalize_embedding",        false},
                              {"add_final_layer_norm",       false},
                              {"add_bias_logits",            false},
    });
    require_size(json, "encoder_attention_heads", c.heads);
    require_size(json, "encoder_ffn_dim", c.ffn);
    c.encoder_decoder.scale_embedding = json.truth_or("scale_embedding", false);
    auto start = json.find("decoder_start_token_id");
    if (!start) start = json.find("pad_token_id");
    if (!start) fail("%s: names no decoder_start_token_id", json.where().c_str());
    c.encoder_decoder.start = start->whole_number("a token", INT32_MAX);
    if (c.encoder_decoder.start >= c.vocab) start->wrong("a token of the vocabulary");
}

void write(const ModelConfig& c, nlohmann::json& json) {
    const EncoderDecoderConfig& e = c.encoder_decoder;
    if (e.pre_norm) fail("transformers' Marian has its norms after each sum, unlike the model");
    if (e.first_position != 0 || e.slowest_is_base) fail("transformers' Marian has other sinusoids than the model");
    if (c.source_vocab > 0) fail("nib exports only models whose encoder and decoder share an embedding");
    if (c.eps != kEps)
        fail("transformers' Marian has norms with an epsilon of 1e-05, the model of %g", static_cast<double>(c.eps));
    json["encoder_attention_heads"] = c.heads;
    json["encoder_ffn_dim"] = c.ffn;
    json["vocab_size"] = c.vocab;
    json["num_hidden_layers"] = c.encoder_layers;
    json["is_encoder_decoder"] = true;
    json["share_encoder_decoder_embeddings"] = true;
    json["static_position_embeddings"] = true;
    json["scale_embedding"] = e.scale_embedding;
    json["decoder_start_token_id"] = json["pad_token_id"] = e.start;  // Marian begins with padding
    json["forced_eos_token_id"] = json["eos_token_id"];
}

}  // namespace

constinit const CheckpointFormat kTransformerCheckpoints = {
    .types = kTypes,
    .model_class = "MarianMTModel",
    .sizes = kSizes,
    .eps_keys = {},
    .act_key = "activation_function",
    .acts = kActs,
    .act_names = kActNames,
    .layouts = kLayouts,
    .read = read,
    .write = write,
};

}  // namespace nib
