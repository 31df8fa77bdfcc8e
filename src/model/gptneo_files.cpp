// GPT-Neo as transformers saves it.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "model/families.h"
#include "model/hf_config.h"

namespace nib {
namespace {

constexpr StoredAs kBody[] = {
    {"token_embd",        {"wte"},                         kNoBias    },
    {"position_embd",     {"wpe"},                         kNoBias    },
    {"blk.#.attn_norm",   {"h.#.ln_1"},                    kWeightBias},
    {"blk.#.attn_q",      {"h.#.attn.attention.q_proj"},   kNoBias    },
    {"blk.#.attn_k",      {"h.#.attn.attention.k_proj"},   kNoBias    },
    {"blk.#.attn_v",      {"h.#.attn.attention.v_proj"},   kNoBias    },
    {"blk.#.attn_output", {"h.#.attn.attention.out_proj"}, kWeightBias},
    {"blk.#.ffn_norm",    {"h.#.ln_2"},                    kWeightBias},
    {"blk.#.ffn_up",      {"h.#.mlp.c_fc"},                kWeightBias},
    {"blk.#.ffn_down",    {"h.#.mlp.c_proj"},              kWeightBias},
    {"output_norm",       {"ln_f"},                        kWeightBias},
};
constexpr StoredAs kHeads[] = {
    {"output",     {"lm_head"}, kNoBias},
    {"cls.output", {"score"},   kNoBias},
};
constexpr std::string_view kConstants[] = {"h.#.attn.attention.bias", "h.#.attn.attention.masked_bias"};

constexpr Layout kLayouts[] = {
    {.name = "GPT-Neo", .body = kBody, .heads = kHeads, .constants = kConstants, .prefix = "transformer.", .tied = true},
};

constexpr HfType kTypes[] = {
    {"gpt_neo", "GPTNeo"}
};
constexpr HfClass kClasses[] = {
    {"GPTNeoForCausalLM",               {},        false},
    {"GPTNeoForSequenceClassification", {"class"}, false},
};
constexpr Act kActs[] = {Act::GeluTanh, Act::GeluErf, Act::Relu, Act::Silu};
constexpr SizeKeys kSizes[] = {
    {&ModelConfig::layers,  {"num_layers", "num_hidden_layers"} },
    {&ModelConfig::heads,   {"num_heads", "num_attention_heads"}},
    {&ModelConfig::embd,    {"hidden_size"}                     },
    {&ModelConfig::context, {"max_position_embeddings"}         },
    {&ModelConfig::vocab,   {"vocab_size"}                      },
    {&ModelConfig::ffn,     {"intermediate_size"}               },
};
constexpr int64_t kWindow = 256;  // GPTNeoConfig's default

// Takes the kinds of some layers from a list of names.
void add_layers(const JsonValue& names, std::vector<bool>& local) {
    for (size_t i = 0; i < names.items(); ++i) {
        const std::string& name = names.at(i).text();
        if (name != "global" && name != "local") refuse_option(names.at(i), "attention of the type `" + name + "`");
        local.push_back(name == "local");
    }
}

// Which layers are local: "attention_layers" lists them one by one, "attention_types" as [[names, how often], ...]. Like
// transformers, which makes the first of the second, nib takes the first where both are there.
void read_layers(const JsonValue& json, ModelConfig& c) {
    std::vector<bool> local;
    const auto layers = static_cast<size_t>(c.layers);
    auto said = json.find("attention_layers");
    if (said) {
        add_layers(*said, local);
    } else if ((said = json.find("attention_types"))) {
        for (size_t i = 0; i < said->items(); ++i) {
            const JsonValue part = said->at(i);
            if (part.items() != 2) part.wrong("types of attention and how often they come");
            const int64_t times = part.at(1).whole_number("how often these types come", c.layers);
            for (int64_t n = 0; n < times && local.size() <= layers && part.at(0).items() > 0; ++n)
                add_layers(part.at(0), local);
        }
    }
    if (!said) return;  // every second one
    if (local.size() != layers)
        fail("%s is not of %lld layers, as the model is", said->where().c_str(), static_cast<long long>(c.layers));
    c.attention.local = local;
    if (std::find(local.begin(), local.end(), true) == local.end()) c.attention.window = 0, c.attention.local = {};
}

void read(const JsonValue& json, ModelConfig& c) {
    refuse_encoder_decoder(json);
    const auto window = json.find("window_size");
    c.attention.window = window ? window->whole_number("a size", INT32_MAX) : kWindow;
    if (c.attention.window == 0) window->wrong("a size of 1 or more");
    read_layers(json, c);
}

void write(const ModelConfig& c, nlohmann::json& json) {
    const AttentionConfig& a = c.attention;
    if (a.scale != 1 || a.divide_by_layer) fail("the model scales attention scores, which transformers' GPT-Neo does not");
    json["window_size"] = a.window > 0 ? a.window : kWindow;
    nlohmann::json layers = nlohmann::json::array();
    for (size_t l = 0; l < static_cast<size_t>(c.layers); ++l) layers.push_back(a.window_of(l) > 0 ? "local" : "global");
    json["attention_types"] = {
        {layers, 1}
    };
    json["attention_layers"] = layers;
}

}  // namespace

constinit const CheckpointFormat kGptNeoCheckpoints = {
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
