#include "model/hf_config.h"

#include <algorithm>
#include <limits>

#include "model/hf_labels.h"

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
    {"silu",              Act::Silu    },
    {"swish",             Act::Silu    },
};

// Keys whose presence alone means something else than the weights and the family say.
constexpr const char* kRefused[] = {"quantization_config", "auto_map", "pruned_heads"};

// How the names of transformers' classes go on after the family's: "GPT2LMHeadModel", "LlamaForCausalLM".
constexpr std::string_view kClassEndings[] = {"For", "LM", "Model", "Double"};

bool is_class_of(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return false;
    name.remove_prefix(prefix.size());
    return std::any_of(std::begin(kClassEndings), std::end(kClassEndings),
                       [&](std::string_view ending) { return name.starts_with(ending); });
}

std::span<const HfType> hf_types(const Architecture& family) {
    return family.checkpoints != nullptr ? family.checkpoints->types : std::span<const HfType>{};
}

std::string convertible_names() {
    std::string names;
    for (const Architecture* architecture : architectures())
        for (const HfType& type : hf_types(*architecture))
            names += (names.empty() ? "" : ", ") + std::string(type.model_type);
    return names;
}

// By `model_type`, or by the class where that is missing.
const Architecture* find_family(const JsonValue& json) {
    const std::string type = json.text_or("model_type", "");
    std::string name = type;
    if (const auto list = json.find("architectures"); type.empty() && list && list->items() > 0) name = list->at(0).text();
    for (const Architecture* architecture : architectures())
        for (const HfType& hf : hf_types(*architecture))
            if (type.empty() ? is_class_of(name, hf.class_prefix) : type == hf.model_type) return architecture;
    SavedConfig ignored;
    if (name.empty() || take_preset(ignored, name)) return nullptr;
    fail("%s architecture `%s` is not supported; nib converts %s", json.where().c_str(), printable(name, 60).c_str(),
         convertible_names().c_str());
}

// The object with the model's sizes: the whole, or a member of it, as minGPT has it.
JsonValue model_part(const JsonValue& json) {
    for (const char* key : {"model", "config", "model_config", "model_args"})
        if (const auto part = json.find(key); part && part->raw().is_object()) return *part;
    return json;
}

void read_sizes(const JsonValue& json, std::span<const SizeKeys> all, SavedConfig& c) {
    for (const SizeKeys& keys : all) {
        for (const char* key : keys.names) {
            const auto value = key != nullptr ? json.find(key) : std::nullopt;
            if (!value || c.find(keys.size) != nullptr) continue;
            const int64_t size = value->whole_number("a size", std::numeric_limits<int32_t>::max());
            if (size == 0) fail("%s is 0; nib expects a size of 1 or more", value->where().c_str());
            c.add(keys.size, key, size);
        }
    }
}

// Untrusted: an id outside the vocabulary is none, and of several the first counts.
int32_t token_of(const JsonValue& json, const char* key, const SavedSize* vocab) {
    const auto value = json.find(key);
    const nlohmann::json* id = value ? &value->raw() : nullptr;
    if (id != nullptr && id->is_array()) id = id->empty() ? nullptr : &id->front();
    if (id == nullptr || !id->is_number_unsigned()) return -1;
    const auto limit = static_cast<uint64_t>(vocab != nullptr ? vocab->value : std::numeric_limits<int32_t>::max());
    return id->get<uint64_t>() < limit ? static_cast<int32_t>(id->get<uint64_t>()) : -1;
}

bool among(Act act, std::span<const Act> acts) { return std::find(acts.begin(), acts.end(), act) != acts.end(); }

}  // namespace

ConfigFile::ConfigFile(std::string_view text, const std::string& file)
    : file_(printable(file, 400)), json_(parse_json(text, file_)), architecture_(find_family({json_, file_ + ":"})) {}

SavedConfig ConfigFile::read(const Architecture& family) const {
    const CheckpointFormat& format = *family.checkpoints;
    const JsonValue json(json_, file_ + ":");
    for (const char* key : kRefused)
        if (const auto found = json.find(key); found && !found->raw().empty()) refuse_option(*found, "such a model");
    const bool hugging_face = architecture_ != nullptr;
    const JsonValue model = hugging_face ? json : model_part(json);
    SavedConfig c;
    c.where = file_;
    read_sizes(model, format.sizes, c);
    for (const char* key : format.eps_keys) {
        const auto eps = key != nullptr && !c.eps ? model.find(key) : std::nullopt;
        if (!eps) continue;
        c.eps = static_cast<float>(eps->number());
        if (!(*c.eps >= 0 && *c.eps < 1)) eps->wrong("a number from 0 to 1");
    }
    if (hugging_face) c.activation = activation_name(format.acts[0]);  // unless it says otherwise
    if (const auto act = model.find(format.act_key)) {
        c.activation = act->text();
        for (const NamedAct& own : format.act_names)
            if (*c.activation == own.name) c.activation = activation_name(own.act);
    }
    if (const auto tied = model.find("tie_word_embeddings")) c.tied = tied->truth();
    const SavedSize* const vocab = c.find(&ModelConfig::vocab);
    c.begin = token_of(json, "bos_token_id", vocab);
    c.end = token_of(json, "eos_token_id", vocab);
    c.name = json.text_or("_name_or_path", "");
    if (hugging_face) return c;

    if (take_preset(c, model.text_or("model_type", "")))
        c.program = "minGPT";
    else if (model.find("block_size") && model.find("bias"))
        c.program = "nanoGPT";
    if (c.find(&ModelConfig::heads) == nullptr)
        fail("%s: names no model_type and no number of heads, such as n_head", file_.c_str());
    c.note = strprintf("%s names no model_type: by its keys it is taken for %s", file_.c_str(),
                       c.program.empty() ? ("a " + std::string(family.title) + "'s").c_str() : (c.program + "'s").c_str());
    return c;
}

void ConfigFile::read_rest(const Architecture& family, ModelConfig& config) const {
    const JsonValue json(json_, file_ + ":");
    family.checkpoints->read(architecture_ != nullptr ? json : model_part(json), config);
    read_labels(json, config);
}

const CheckpointFormat& hf_format(const ModelConfig& config) {
    const Architecture& family = architecture_of(config);
    if (family.checkpoints == nullptr) fail("transformers has no class for a %s", family.title);
    return *family.checkpoints;
}

const HfClass* ConfigFile::model_class(const Architecture& family) const {
    const JsonValue json(json_, file_ + ":");
    const auto list = json.find("architectures");
    if (!list || list->items() == 0 || family.checkpoints->classes.empty()) return nullptr;
    const std::string name = list->at(0).text();
    for (const HfClass& known : family.checkpoints->classes)
        if (name == known.name) return &known;
    static constexpr HfClass kOther{"", {}, false};
    if (!family.encoder_only) return &kOther;
    refuse_option(list->at(0), "the class " + name);
}

std::string hf_class(const ModelConfig& c) {
    const CheckpointFormat& format = hf_format(c);
    if (format.classes.empty() && !c.task_heads.empty())
        fail("a %s with a head `%s` cannot be exported, only one that predicts the next token", architecture_of(c).title,
             c.task_heads.front().name.c_str());
    if (format.classes.empty()) return format.model_class;
    std::string names;
    for (const HeadConfig& head : c.task_heads) names += (names.empty() ? "" : ", ") + head.name;
    for (const HfClass& known : format.classes) {
        const auto has = [&](const char* name) { return c.find_head(name) != nullptr; };
        const auto count =
            std::count_if(known.heads.begin(), known.heads.end(), [](const char* name) { return name != nullptr; });
        if (static_cast<size_t>(count) == c.task_heads.size() &&
            std::all_of(known.heads.begin(), known.heads.begin() + count, has))
            return known.name;
    }
    fail("transformers has no class of %s with the heads %s", architecture_of(c).title, names.c_str());
}

std::string hf_config_text(const ModelConfig& c, const std::string& name, const std::string& dtype,
                           const HfTokens& tokens) {
    const auto token = [](int32_t id) { return id >= 0 ? nlohmann::json(id) : nlohmann::json(); };
    const CheckpointFormat& format = hf_format(c);
    const char* act_name = activation_name(c.act);
    for (const NamedAct& own : format.act_names)
        if (own.act == c.act) act_name = own.name;
    nlohmann::json json = {
        {"_name_or_path",       name                                },
        {"architectures",       nlohmann::json::array({hf_class(c)})},
        {"bos_token_id",        token(tokens.begin)                 },
        {"eos_token_id",        token(tokens.end)                   },
        {format.act_key,        act_name                            },
        {"model_type",          format.types[0].model_type          },
        {"tie_word_embeddings", c.tied                              },
        {"torch_dtype",         dtype                               },
    };
    if (format.eps_keys[0] != nullptr) json[format.eps_keys[0]] = shortest(c.eps);
    for (const SizeKeys& keys : format.sizes)
        if (c.*keys.size > 0) json[keys.names[0]] = c.*keys.size;
    format.write(c, json);
    write_labels(c, tokens.padding, json);
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void require_options(const JsonValue& json, std::initializer_list<std::pair<const char*, bool>> values) {
    for (const auto& [key, value] : values)
        if (json.truth_or(key, value) != value) refuse_option(json.get(key), value ? "the value false" : "the value true");
}

void refuse_encoder_decoder(const JsonValue& json) {
    require_options(json, {
                              {"add_cross_attention", false},
                              {"is_encoder_decoder",  false},
    });
}

void refuse_option(const JsonValue& value, const std::string& what) {
    throw UnsupportedOption(value.where() + ": " + printable(what, 200) + " is not supported");
}

std::optional<Act> find_activation(std::string_view name) {
    for (const auto& [known, act] : kActivations)
        if (name == known) return act;
    return std::nullopt;
}

Act get_activation(std::string_view name, const std::string& where, std::span<const Act> acts) {
    if (const auto act = find_activation(name); act && among(*act, acts)) return *act;
    fail("%s: activation `%s` is not supported; nib knows %s", where.c_str(), printable(name, 60).c_str(),
         activation_names(acts).c_str());
}

const char* activation_name(Act act) {
    const auto* found = kActivations;
    while (found->second != act) ++found;
    return found->first;
}

std::string activation_names(std::span<const Act> acts) {
    std::string names;
    for (const auto& [known, act] : kActivations)
        if (among(act, acts)) names += (names.empty() ? "" : ", ") + std::string(known);
    return names;
}

}  // namespace nib
