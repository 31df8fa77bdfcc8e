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

// Whether it says that it is Hugging Face's of a GPT-2. Error when it says something else; saying nothing is neither, nor
// is naming a preset of minGPT.
bool is_hf_gpt2(const JsonValue& config) {
    std::string name = config.text_or("model_type", "");
    if (const auto list = config.find("architectures"); name.empty() && list && list->items() > 0) {
        name = list->at(0).text();
        if (name.starts_with("GPT2")) return true;
    }
    if (name == "gpt2") return true;
    SavedConfig ignored;
    if (name.empty() || (name != "openai-gpt" && take_preset(ignored, name))) return false;
    fail("%s architecture `%s` is not supported; nib converts gpt2", config.where().c_str(), printable(name, 60).c_str());
}

void check_options(const JsonValue& config) {
    try {
        for (const auto& [key, value] : kFixed)
            if (config.truth_or(key, value) != value) config.get(key).refuse(value ? "the value false" : "the value true");
        for (const char* key : kRefused)
            if (const auto found = config.find(key); found && !found->raw().empty()) found->refuse("such a model");
    } catch (const Error& error) {
        throw UnsupportedOption(error.what());
    }
}

// The object with the model's sizes: the whole, or a member of it, as minGPT has it.
JsonValue model_part(const JsonValue& config) {
    for (const char* key : {"model", "config", "model_config", "model_args"})
        if (const auto part = config.find(key); part && part->raw().is_object()) return *part;
    return config;
}

std::optional<int64_t> size_of(const JsonValue& config, const SizeKeys& keys) {
    for (const char* key : keys.names)
        if (const auto value = key != nullptr ? config.find(key) : std::nullopt)
            return value->whole_number("a size", std::numeric_limits<int32_t>::max());
    return std::nullopt;
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

std::optional<Act> find_activation(std::string_view name) {
    for (const auto& [known, act] : kActivations)
        if (name == known) return act;
    return std::nullopt;
}

Act get_activation(std::string_view name, const std::string& where) {
    if (const auto act = find_activation(name)) return *act;
    std::string names;
    for (const auto& [known, act] : kActivations) names += (names.empty() ? "" : ", ") + std::string(known);
    fail("%s: activation `%s` is not supported; nib knows %s", where.c_str(), printable(name, 60).c_str(), names.c_str());
}

const char* activation_name(Act act) {
    const auto* found = kActivations;
    while (found->second != act) ++found;
    return found->first;
}

SavedConfig parse_hf_config(std::string_view text, const std::string& name) {
    const std::string file = printable(name, 400);
    const nlohmann::json json = parse_json(text, file);
    const JsonValue config(json, file + ":");
    const bool hugging_face = is_hf_gpt2(config);
    const JsonValue model = hugging_face ? config : model_part(config);
    SavedConfig c;
    c.where = file;
    check_options(config);
    for (const SizeKeys& keys : size_keys()) c.*keys.size = size_of(model, keys);
    if (const auto eps = model.find("layer_norm_epsilon")) {
        c.eps = static_cast<float>(eps->number());
        if (!(*c.eps >= 0 && *c.eps < 1)) eps->wrong("a number from 0 to 1");
    }
    if (hugging_face) c.activation = activation_name(Act::GeluTanh);  // unless it says otherwise
    if (const auto act = model.find("activation_function")) c.activation = act->text();
    if (const auto tied = model.find("tie_word_embeddings")) c.tied = tied->truth();
    c.begin = token_of(config, "bos_token_id", c.vocab);
    c.end = token_of(config, "eos_token_id", c.vocab);
    c.name = config.text_or("_name_or_path", "");
    if (hugging_face) return c;

    if (take_preset(c, model.text_or("model_type", "")))
        c.program = "minGPT";
    else if (model.find("block_size") && model.find("bias"))
        c.program = "nanoGPT";
    if (!c.heads) fail("%s: names no model_type and no number of heads, such as n_head", file.c_str());
    c.note = strprintf("%s names no model_type: by its keys it is taken for %s", file.c_str(),
                       c.program.empty() ? "a GPT-2's" : (c.program + "'s").c_str());
    return c;
}

std::string hf_config_text(const ModelConfig& c, const std::string& name, const std::string& dtype, int32_t begin,
                           int32_t end) {
    const auto token = [](int32_t id) { return id >= 0 ? nlohmann::ordered_json(id) : nlohmann::ordered_json(); };
    const nlohmann::ordered_json json = {
        {"_name_or_path",       name                                              },
        {"activation_function", activation_name(c.act)                            },
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
