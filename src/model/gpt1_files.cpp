// GPT-1 as transformers saves it.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/families.h"
#include "model/hf_config.h"

namespace nib {
namespace {

constexpr StoredAs kBody[] = {
    {"token_embd",              {"tokens_embed"},    kNoBias,     Order::Same  },
    {"position_embd",           {"positions_embed"}, kNoBias,     Order::Same  },
    {"blk.#.attn_qkv",          {"h.#.attn.c_attn"}, kWeightBias, Order::Conv1d},
    {"blk.#.attn_output",       {"h.#.attn.c_proj"}, kWeightBias, Order::Conv1d},
    {"blk.#.attn_output_norm",  {"h.#.ln_1"},        kWeightBias, Order::Same  },
    {"blk.#.ffn_up",            {"h.#.mlp.c_fc"},    kWeightBias, Order::Conv1d},
    {"blk.#.ffn_down",          {"h.#.mlp.c_proj"},  kWeightBias, Order::Conv1d},
    {"blk.#.layer_output_norm", {"h.#.ln_2"},        kWeightBias, Order::Same  },
};
constexpr StoredAs kHeads[] = {
    {"output",     {"lm_head"}, kNoBias},
    {"cls.output", {"score"},   kNoBias},
};
constexpr std::string_view kConstants[] = {"h.#.attn.bias", "position_ids"};

constexpr Layout kLayouts[] = {
    {.name = "GPT-1", .body = kBody, .heads = kHeads, .constants = kConstants, .prefix = "transformer.", .tied = true},
};

constexpr HfType kTypes[] = {
    {"openai-gpt", "OpenAIGPT"}
};
constexpr HfClass kClasses[] = {
    {"OpenAIGPTLMHeadModel",               {},        false},
    {"OpenAIGPTForSequenceClassification", {"class"}, false},
};
constexpr Act kActs[] = {Act::GeluTanh, Act::Relu, Act::Silu};
constexpr NamedAct kActNames[] = {
    {"gelu", Act::GeluTanh}
};
constexpr SizeKeys kSizes[] = {
    {&ModelConfig::layers,  {"n_layer", "num_hidden_layers"}                   },
    {&ModelConfig::heads,   {"n_head", "num_attention_heads"}                  },
    {&ModelConfig::embd,    {"n_embd", "hidden_size"}                          },
    {&ModelConfig::context, {"n_positions", "max_position_embeddings", "n_ctx"}},
    {&ModelConfig::vocab,   {"vocab_size"}                                     },
};

void read(const JsonValue& json, ModelConfig&) { refuse_encoder_decoder(json); }

void write(const ModelConfig& c, nlohmann::json& json) {
    if (c.feed_forward() != 4 * c.embd)
        fail("the feed-forward layers are %lld wide, but transformers' GPT-1 has 4 times the channels: %lld",
             static_cast<long long>(c.feed_forward()), static_cast<long long>(4 * c.embd));
    if (c.attention != AttentionConfig{}) fail("transformers' GPT-1 has full attention with the usual scale only");
    json["n_ctx"] = c.context;
}

}  // namespace

constinit const CheckpointFormat kGpt1Checkpoints = {
    .types = kTypes,
    .model_class = nullptr,
    .sizes = kSizes,
    .eps_keys = {"layer_norm_epsilon"},
    .act_key = "afn",
    .acts = kActs,
    .act_names = kActNames,
    .layouts = kLayouts,
    .read = read,
    .write = write,
    .classes = kClasses,
};

}  // namespace nib
