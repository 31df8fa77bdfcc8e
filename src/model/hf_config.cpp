#include "model/hf_config.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "io/json_value.h"

namespace nib {
namespace {

// All of a formula's names; the first is the one that nib writes.
constexpr std::pair<const char*, Act> kActivations[] = {
    {"gelu_new",          Act::GeluTanh},
    {"gelu_pytorch_tanh", Act::GeluTanh},
    {"gelu_fast",         Act::GeluTanh},
    {"gelu_accurate",     Act::GeluTanh},
    {"gelu",              Act::GeluErf },
    {"gelu_python",       Act::GeluErf },
    {"relu",              Act::Relu    },
};

// Options that change what a model computes, at the only value that nib has. Not among them: reorder_and_upcast_attn, which
// asks for attention in f32, as nib does it always.
constexpr std::pair<const char*, bool> kFixed[] = {
    {"scale_attn_weights",              true },
    {"scale_attn_by_inverse_layer_idx", false},
    {"add_cross_attention",             false},
    {"is_encoder_decoder",              false},
};
// Keys whose presence alone means something else.
constexpr const char* kRefused[] = {"quantization_config", "auto_map", "pruned_heads", "rope_scaling"};

void check_architecture(const JsonValue& config) {
    std::string name = config.text_or("model_type", "");
    if (const auto list = config.find("architectures"); name.empty() && list && list->items() > 0) {
        name = list->at(0).text();
        if (name.starts_with("GPT2")) return;
    }
    if (name.empty()) fail("%s names no model_type; nib converts gpt2", config.where().c_str());
    if (name != "gpt2")
        fail("%s architecture `%s` is not supported; nib converts gpt2", config.where().c_str(),
             printable(name, 60).c_str());
}

void check_options(const JsonValue& config) {
    for (const auto& [key, value] : kFixed)
        if (config.truth_or(key, value) != value) config.get(key).refuse(value ? "the value false" : "the value true");
    for (const char* key : kRefused)
        if (const auto found = config.find(key); found && !found->raw().empty()) found->refuse("such a model");
}

// Hugging Face knows each of these under two names.
std::optional<int64_t> size_of(const JsonValue& config, const char* name, const char* other) {
    auto value = config.find(name);
    if (!value) value = config.find(other);
    if (!value) return std::nullopt;
    return value->whole_number("a size", std::numeric_limits<int32_t>::max());
}

// Untrusted: an id outside the vocabulary is none, and of several the first counts.
int32_t token_of(const JsonValue& config, const char* key, const std::optional<int64_t>& vocab) {
    const auto value = config.find(key);
    const nlohmann::json* id = value ? &value->raw() : nullptr;
    if (id != nullptr && id->is_array()) id = id->empty() ? nullptr : &id->front();
    if (id == nullptr || !id->is_number_unsigned()) return -1;
    const auto limit = static_cast<uint64_t>(vocab.value_or(std::numeric_limits<int32_t>::max()));
    return id->get<uint64_t>() < limit ? static_cast<int32_t>(id->get<uint64_t>()) : -1;
}

}  // namespace

Act find_activation(const std::string& name, const std::string& where) {
    std::string names;
    for (const auto& [known, act] : kActivations) {
        if (name == known) return act;
        names += (names.empty() ? "" : ", ") + std::string(known);
    }
    fail("%s: activation `%s` is not supported; nib knows %s", where.c_str(), printable(name, 60).c_str(), names.c_str());
}

HfConfig parse_hf_config(std::string_view text, const std::string& name) {
    const std::string file = printable(name, 400);
    const nlohmann::json json = parse_json(text, file);
    const JsonValue config(json, file + ":");
    check_architecture(config);
    check_options(config);
    HfConfig c;
    c.layers = size_of(config, "n_layer", "num_hidden_layers");
    c.heads = size_of(config, "n_head", "num_attention_heads");
    c.embd = size_of(config, "n_embd", "hidden_size");
    c.context = size_of(config, "n_positions", "max_position_embeddings");
    c.vocab = size_of(config, "vocab_size", "vocab_size");
    c.ffn = size_of(config, "n_inner", "n_inner");
    if (const auto eps = config.find("layer_norm_epsilon")) {
        c.eps = static_cast<float>(eps->number());
        if (!(*c.eps >= 0 && *c.eps < 1)) eps->wrong("a number from 0 to 1");
    }
    if (const auto act = config.find("activation_function")) c.act = find_activation(act->text(), act->where());
    if (const auto tied = config.find("tie_word_embeddings")) c.tied = tied->truth();
    c.begin = token_of(config, "bos_token_id", c.vocab);
    c.end = token_of(config, "eos_token_id", c.vocab);
    c.name = config.text_or("_name_or_path", "");
    return c;
}

std::string hf_config_text(const GptConfig& c, const std::string& name, const std::string& dtype, int32_t begin,
                           int32_t end) {
    const auto token = [](int32_t id) { return id >= 0 ? nlohmann::ordered_json(id) : nlohmann::ordered_json(); };
    const auto* act = kActivations;
    while (act->second != c.act) ++act;
    const nlohmann::ordered_json json = {
        {"_name_or_path",       name                                              },
        {"activation_function", act->first                                        },
        {"architectures",       nlohmann::ordered_json::array({"GPT2LMHeadModel"})},
        {"bos_token_id",        token(begin)                                      },
        {"eos_token_id",        token(end)                                        },
        {"layer_norm_epsilon",  shortest(c.eps)                                   },
        {"model_type",          "gpt2"                                            },
        {"n_ctx",               c.context                                         },
        {"n_embd",              c.embd                                            },
        {"n_head",              c.heads                                           },
        {"n_inner",             c.feed_forward()                                  },
        {"n_layer",             c.layers                                          },
        {"n_positions",         c.context                                         },
        {"tie_word_embeddings", c.tied                                            },
        {"torch_dtype",         dtype                                             },
        {"vocab_size",          c.vocab                                           },
    };
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace nib
