// GPT-2 as transformers, nanoGPT, minGPT, makemore, the lecture gpt.py and the book "Build a Large Language Model (From
// Scratch)" save it.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/families.h"
#include "model/hf_config.h"

namespace nib {
namespace {

constexpr Endings kScaleShift{".scale", ".shift"};
constexpr Endings kParameter{"", ""};  // no module, but a bare Parameter

// transformers, nanoGPT, minGPT, makemore.
constexpr StoredAs kHfBody[] = {
    {"token_embd",        {"wte"},             kNoBias,     Order::Same  },
    {"position_embd",     {"wpe"},             kNoBias,     Order::Same  },
    {"blk.#.attn_norm",   {"h.#.ln_1"},        kWeightBias, Order::Same  },
    {"blk.#.attn_qkv",    {"h.#.attn.c_attn"}, kWeightBias, Order::Conv1d},
    {"blk.#.attn_output", {"h.#.attn.c_proj"}, kWeightBias, Order::Conv1d},
    {"blk.#.ffn_norm",    {"h.#.ln_2"},        kWeightBias, Order::Same  },
    {"blk.#.ffn_up",      {"h.#.mlp.c_fc"},    kWeightBias, Order::Conv1d},
    {"blk.#.ffn_down",    {"h.#.mlp.c_proj"},  kWeightBias, Order::Conv1d},
    {"output_norm",       {"ln_f"},            kWeightBias, Order::Same  },
};
constexpr StoredAs kHfHeads[] = {
    {"output",             {"lm_head"}},
    {            "output", {"lm_head.decoder"}           },
    { "cls.output",             {"score"},                        kNoBias},
};
constexpr std::string_view kHfConstants[] = {"h.#.attn.bias", "h.#.attn.masked_bias"};

constexpr StoredAs kMinGptBody[] = {
    {"token_embd",        {"tok_emb"},                                                         kNoBias    },
    {"position_embd",     {"pos_emb"},                                                         kParameter },
    {"blk.#.attn_norm",   {"blocks.#.ln1"},                                                    kWeightBias},
    {"blk.#.attn_qkv",    {"blocks.#.attn.query", "blocks.#.attn.key", "blocks.#.attn.value"}, kWeightBias},
    {"blk.#.attn_output", {"blocks.#.attn.proj"},                                              kWeightBias},
    {"blk.#.ffn_norm",    {"blocks.#.ln2"},                                                    kWeightBias},
    {"blk.#.ffn_up",      {"blocks.#.mlp.0"},                                                  kWeightBias},
    {"blk.#.ffn_down",    {"blocks.#.mlp.2"},                                                  kWeightBias},
    {"output_norm",       {"ln_f"},                                                            kWeightBias},
};
constexpr StoredAs kMinGptHeads[] = {
    {"output", {"head"}},
};
constexpr std::string_view kMinGptConstants[] = {"blocks.#.attn.mask"};

constexpr StoredAs kLectureBody[] = {
    {"token_embd",        {"token_embedding_table"},                                                             kNoBias    },
    {"position_embd",     {"position_embedding_table"},                                                          kNoBias    },
    {"blk.#.attn_norm",   {"blocks.#.ln1"},                                                                      kWeightBias},
    {"blk.#.attn_qkv",    {"blocks.#.sa.heads.*.query", "blocks.#.sa.heads.*.key", "blocks.#.sa.heads.*.value"}, kWeightBias},
    {"blk.#.attn_output", {"blocks.#.sa.proj"},                                                                  kWeightBias},
    {"blk.#.ffn_norm",    {"blocks.#.ln2"},                                                                      kWeightBias},
    {"blk.#.ffn_up",      {"blocks.#.ffwd.net.0"},                                                               kWeightBias},
    {"blk.#.ffn_down",    {"blocks.#.ffwd.net.2"},                                                               kWeightBias},
    {"output_norm",       {"ln_f"},                                                                              kWeightBias},
};
constexpr StoredAs kLectureHeads[] = {
    {"output", {"lm_head"}},
};
constexpr std::string_view kLectureConstants[] = {"blocks.#.sa.heads.*.tril"};

constexpr StoredAs kBookBody[] = {
    {"token_embd",        {"tok_emb"},                                                                        kNoBias    },
    {"position_embd",     {"pos_emb"},                                                                        kNoBias    },
    {"blk.#.attn_norm",   {"trf_blocks.#.norm1"},                                                             kScaleShift},
    {"blk.#.attn_qkv",    {"trf_blocks.#.att.W_query", "trf_blocks.#.att.W_key", "trf_blocks.#.att.W_value"}, kWeightBias},
    {"blk.#.attn_output", {"trf_blocks.#.att.out_proj"},                                                      kWeightBias},
    {"blk.#.ffn_norm",    {"trf_blocks.#.norm2"},                                                             kScaleShift},
    {"blk.#.ffn_up",      {"trf_blocks.#.ff.layers.0"},                                                       kWeightBias},
    {"blk.#.ffn_down",    {"trf_blocks.#.ff.layers.2"},                                                       kWeightBias},
    {"output_norm",       {"final_norm"},                                                                     kScaleShift},
};
constexpr StoredAs kBookHeads[] = {
    {"output", {"out_head"}},
};
constexpr std::string_view kBookConstants[] = {"trf_blocks.#.att.mask"};

constexpr Layout kLayouts[] = {
    {.name = "GPT-2",
     .body = kHfBody,
     .heads = kHfHeads,
     .constants = kHfConstants,
     .prefix = "transformer.",
     .act = Act::GeluTanh,
     .tied = true,
     .biases_may_lack = true},
    {.name = "the first minGPT (2020)",
     .body = kMinGptBody,
     .heads = kMinGptHeads,
     .constants = kMinGptConstants,
     .act = Act::GeluErf,
     .biases_may_lack = true },
    {.name = "the lecture gpt.py (ng-video-lecture)",
     .body = kLectureBody,
     .heads = kLectureHeads,
     .constants = kLectureConstants,
     .act = Act::Relu,
     .biases_may_lack = true,
     .note = "attention scores are taken to be divided by the square root of the head size, as in the last gpt.py"},
    {.name = "the book \"Build a Large Language Model (From Scratch)\"",
     .body = kBookBody,
     .heads = kBookHeads,
     .constants = kBookConstants,
     .act = Act::GeluTanh,
     .biases_may_lack = true           },
};

constexpr HfType kTypes[] = {
    {"gpt2", "GPT2"}
};
constexpr HfClass kClasses[] = {
    {"GPT2LMHeadModel",               {},        false},
    {"GPT2ForSequenceClassification", {"class"}, false},
};
constexpr Act kActs[] = {Act::GeluTanh, Act::GeluErf, Act::Relu};
constexpr SizeKeys kSizes[] = {
    {&ModelConfig::layers,  {"n_layer", "num_hidden_layers", "n_layers", "num_layers"}                         },
    {&ModelConfig::heads,   {"n_head", "num_attention_heads", "n_heads", "num_heads"}                          },
    {&ModelConfig::embd,    {"n_embd", "hidden_size", "emb_dim", "d_model"}                                    },
    {&ModelConfig::context, {"n_positions", "max_position_embeddings", "block_size", "context_length", "n_ctx"}},
    {&ModelConfig::vocab,   {"vocab_size"}                                                                     },
    {&ModelConfig::ffn,     {"n_inner"}                                                                        },
};

// Not among the options: reorder_and_upcast_attn, which asks for attention in f32, as nib does it always.
void read(const JsonValue& json, ModelConfig& c) {
    refuse_encoder_decoder(json);
    if (!json.truth_or("scale_attn_weights", true)) c.attention.scale = 1;
    c.attention.divide_by_layer = json.truth_or("scale_attn_by_inverse_layer_idx", false);
    if (const auto scaling = json.find("rope_scaling")) refuse_option(*scaling, "such a model");
}

void write(const ModelConfig& c, nlohmann::json& json) {
    const AttentionConfig& a = c.attention;
    if (a.window > 0)
        fail("the model attends within a window of %lld, which transformers' GPT-2 cannot",
             static_cast<long long>(a.window));
    if (a.scale != 0 && a.scale != 1)
        fail(
            "attention scores are scaled by %g; transformers' GPT-2 divides them by the root of the head size or not at "
            "all",
            static_cast<double>(a.scale));
    json["scale_attn_weights"] = a.scale == 0;
    json["scale_attn_by_inverse_layer_idx"] = a.divide_by_layer;
    json["n_ctx"] = c.context;
    json["n_inner"] = c.feed_forward();
}

}  // namespace

constinit const CheckpointFormat kGpt2Checkpoints = {
    .types = kTypes,
    .model_class = nullptr,
    .sizes = kSizes,
    .eps_keys = {"layer_norm_epsilon"},
    .act_key = "activation_function",
    .acts = kActs,
    .layouts = kLayouts,
    .read = read,
    .write = write,
    .classes = kClasses,
};

}  // namespace nib
