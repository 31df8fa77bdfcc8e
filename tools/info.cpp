// nib info: what is in a model file.
#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/engine.h"
#include "io/gguf.h"
#include "io/json_value.h"
#include "model/adapter_file.h"
#include "model/config.h"
#include "model/hf_config.h"
#include "model/loaded_model.h"
#include "model/named_tensors.h"
#include "options.h"
#include "plan_printer.h"
#include "text/char_tokenizer.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShownCharacters = 120;  // bytes of the vocabulary
constexpr size_t kLongestText = 1000;     // bytes of a value; a tokenizer.huggingface.json may have megabytes

struct Options {
    std::string model;
    bool json = false, dump_plan = false;
};

template <class T>
constexpr bool is_array = false;
template <class T>
constexpr bool is_array<std::vector<T>> = true;

// A scalar itself, the type and length of an array, the length of a long text.
Json json_value(const GgufValue& value) {
    return std::visit(
        [&](const auto& v) -> Json {
            using T = std::decay_t<decltype(v)>;
            if constexpr (is_array<T>)
                return gguf_type_name(value) + ", " + std::to_string(v.size());
            else if constexpr (std::is_same_v<T, float>)
                return shortest(v);
            else if constexpr (std::is_same_v<T, std::string>)
                return v.size() <= kLongestText ? Json(v) : Json("string, " + std::to_string(v.size()) + " bytes");
            else
                return v;
        },
        value);
}

int64_t count_elements(const GgufTensor& tensor) {
    int64_t elements = 1;
    for (const int64_t d : tensor.shape) elements *= d;
    return elements;
}

// How many values there are, how many bits each takes, and how many tensors there are of each type.
void describe_weights(const GgufFile& file, Json& json) {
    int64_t elements = 0;
    size_t bytes = 0;
    Json types = Json::object();
    for (const GgufTensor& t : file.tensors()) {
        elements += count_elements(t);
        bytes += t.data.size();
        const char* const name = dtype_info(t.type)->name;
        const Json before = types.value(name, Json::object());
        types[name] = {
            {"tensors", before.value("tensors", 0) + 1                    },
            {"bytes",   before.value("bytes",   size_t{0}) + t.data.size()}
        };
    }
    json["parameters"] = elements;
    if (elements == 0) return;
    json["bits_per_weight"] = 8 * static_cast<double>(bytes) / static_cast<double>(elements);
    json["types"] = types;
}

// "full", "the last 256 tokens in blocks 1, 3, 5; scores times 1".
std::string attention_text(const ModelConfig& c) {
    const AttentionConfig& a = c.attention;
    std::string blocks;
    for (size_t l = 0; l < a.local.size(); ++l)
        if (a.local[l]) blocks += (blocks.empty() ? "" : ", ") + std::to_string(l);
    const char* const plural = std::count(a.local.begin(), a.local.end(), true) == 1 ? "" : "s";
    std::string text = "full";
    if (a.window > 0)
        text = strprintf("the last %lld tokens in block%s ", static_cast<long long>(a.window), plural) + blocks;
    if (a.scale > 0) text += strprintf("; scores times %g", static_cast<double>(a.scale));
    if (a.divide_by_layer) text += "; scores divided by the number of the layer";
    return text;
}

// What a model is for beside or instead of writing.
void describe_heads(const ModelConfig& c, Json& json) {
    if (!architecture_of(c).encoder_only && c.task_heads.empty() && c.pooling == Pooling::None) return;
    json["segments"] = c.segments;
    json["pooler"] = c.pooler;
    json["pooling"] = pooling_name(c.pooling);
    json["normalized"] = c.normalize;
    if (c.longest_text > 0) json["longest_text"] = c.longest_text;
    json["task_heads"] = Json::object();
    for (const HeadConfig& head : c.task_heads) {
        json["task_heads"][head.name]["outputs"] = head.outputs;
        if (!head.labels.empty()) json["task_heads"][head.name]["labels"] = head.labels;
    }
}

void describe_encoder(const ModelConfig& c, Json& json) {
    if (!c.has_encoder()) return;
    json["encoder_layers"] = c.encoder_layers;
    json["source_tokens"] = c.source_tokens();
    json["norm_first"] = c.encoder_decoder.pre_norm;
    json["start_token"] = c.encoder_decoder.start;
}

Json json_model(const ModelConfig& c) {
    Json json = {
        {"layers",       c.layers              },
        {"heads",        c.heads               },
        {"kv_heads",     c.kv()                },
        {"channels",     c.embd                },
        {"feed_forward", c.feed_forward()      },
        {"context",      c.context             },
        {"vocabulary",   c.vocab               },
        {"activation",   activation_name(c.act)},
        {"attention",    attention_text(c)     },
        {"tied",         c.tied                },
    };
    describe_encoder(c, json);
    describe_heads(c, json);
    return json;
}

// The tokenizer; null if there is none.
Json describe_tokenizer(const GgufFile& file) {
    const std::unique_ptr<Tokenizer> tokenizer = read_tokenizer(file);
    if (!tokenizer) return nullptr;
    std::string text;
    for (int32_t id = 0; id < tokenizer->vocab_size() && text.size() < kShownCharacters; ++id)
        text += tokenizer->decode(id);
    return {
        {"kind",              tokenizer->kind()       },
        {"size",              tokenizer->vocab_size() },
        {"tokens",            tokenizer->token_count()},
        {"first_tokens",      text                    },
        {"llama_cpp_differs", llama_cpp_differs(file) }
    };
}

// Names some of the tensors that the model needs and the file lacks, or one that does not fit; empty if all is well.
std::string tensor_problem(const GgufFile& file) {
    const ModelConfig config = read_config(file);
    constexpr int kNamed = 4;
    std::string names;
    int missing = 0;
    for (const ParameterSpec& spec : model_parameters(config))
        if (file.find(spec.name) == nullptr && ++missing <= kNamed) names += (missing > 1 ? ", `" : "`") + spec.name + "`";
    if (missing == 0) {
        try {
            check_tensors(config, file);
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    }
    return strprintf("%d tensor%s missing: ", missing, missing == 1 ? " is" : "s are") + names +
           (missing > kNamed ? ", ..." : "");
}

// What an adapter is for, and which matrices it has.
Json describe_adapter(const GgufFile& file) {
    const AdapterFile adapter(GgufFile::parse(file.bytes(), file.name()));
    std::vector<std::string> targets, ranks;
    const auto add = [](std::vector<std::string>& list, const std::string& text) {
        if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
    };
    for (const AdapterFile::Pair& pair : adapter.pairs()) {
        add(targets, target_name(pair.parameter));
        add(ranks, std::to_string(pair.rank()));
    }
    const auto joined = [](const std::vector<std::string>& list) {
        std::string text;
        for (const std::string& item : list) text += (text.empty() ? "" : ", ") + item;
        return text;
    };
    const AdapterKeys& keys = adapter.keys();
    return {
        {"base",     keys.base.empty() ? "not named" : keys.base                                  },
        {"rank",     joined(ranks)                                                                },
        {"scale",    shortest(adapter.scale(adapter.pairs()[0]))                                  },
        {"targets",  joined(targets)                                                              },
        {"matrices", adapter.pairs().size()                                                       },
        {"fits",     keys.fingerprint ? "the model it belongs to" : "any model with such matrices"},
    };
}

// What a model file says about itself, and what keeps it from running, such as a missing key. Other GGUF files get only
// what all files have.
Json describe_file(const GgufFile& file) {
    const auto architecture = file.get_or<std::string>("general.architecture", "none");
    Json json = {
        {"file",         file.name()        },
        {"bytes",        file.bytes().size()},
        {"architecture", architecture       },
    };
    const bool is_adapter = AdapterFile::is_adapter(file);
    const bool known = !is_adapter && find_architecture(architecture) != nullptr;
    const auto section = [&](const char* key, const auto& describe) {
        try {
            json[key] = describe();
        } catch (const Error& error) {
            json["problems"].push_back(error.what());
        }
    };
    if (is_adapter) section("adapter", [&] { return describe_adapter(file); });
    if (known) section("model", [&] { return json_model(read_config(file)); });
    describe_weights(file, json);
    if (known) section("tokenizer", [&] { return describe_tokenizer(file); });
    if (json.contains("model")) {
        const std::string problem = tensor_problem(file);
        if (!problem.empty()) json["problems"].push_back(problem);
        const Json rows = json["model"]["vocabulary"], tokens = json.value("/tokenizer/size"_json_pointer, rows);
        if (tokens != rows)
            json["problems"].push_back("the tokenizer has " + tokens.dump() + " tokens, but the embedding " + rows.dump() +
                                       " rows");
    }
    for (const GgufEntry& entry : file.metadata()) json["metadata"][entry.key] = json_value(entry.value);
    json["tensors"] = Json::array();
    for (const GgufTensor& t : file.tensors())
        json["tensors"].push_back({
            {"name",  t.name                  },
            {"shape", t.shape                 },
            {"type",  dtype_info(t.type)->name},
            {"bytes", t.data.size()           }
        });
    return json;
}

std::string text_of(const Json& value) { return value.is_string() ? printable(value.get<std::string>()) : value.dump(); }

std::string text_of_file(const GgufFile& file, const Json& json) {
    std::string text;
    const auto line = [&](const std::string& key, const std::string& value) {
        text += strprintf("%-15s ", key.c_str()) + value + "\n";
    };
    line("file", printable(file.name()) + ", " + human_bytes(static_cast<double>(file.bytes().size())));
    line("architecture", text_of(json["architecture"]));
    for (const char* part : {"model", "adapter"})
        if (json.contains(part))
            for (const auto& [key, value] : json[part].items()) line("  " + key, text_of(value));
    line("parameters", text_of(json["parameters"]));
    if (json.contains("types")) {
        std::string types;
        for (const auto& [name, type] : json["types"].items())
            types += ", " + type["tensors"].dump() + " " + name + " (" + human_bytes(type["bytes"].get<double>()) + ")";
        line("tensors", types.substr(2) + strprintf("; %.2f bits per weight", json["bits_per_weight"].get<double>()));
    }
    if (const auto found = json.find("tokenizer"); found != json.end()) {
        const Json& tokenizer = *found;
        if (tokenizer.is_null())
            line("tokenizer", "none: the model runs on token numbers (--tokens)");
        else
            line("tokenizer",
                 text_of(tokenizer["kind"]) + ", " + text_of(tokenizer["tokens"]) + " tokens" +
                     (tokenizer["tokens"] != tokenizer["size"] ? " for " + text_of(tokenizer["size"]) + " ids" : "") +
                     ": " + text_of(tokenizer["first_tokens"]));
        if (!tokenizer.is_null() && tokenizer["llama_cpp_differs"])
            line("  llama.cpp", "gives other ids: its keys cannot say all that this tokenizer does");
    }
    for (const Json& problem : json.value("problems", Json::array())) line("problem", text_of(problem));
    text += "metadata\n";
    for (const GgufEntry& entry : file.metadata())
        text += "  " + printable(entry.key) + " = " + text_of(json_value(entry.value)) + "\n";
    size_t width = 0;
    for (const GgufTensor& t : file.tensors()) width = std::max(width, printable(t.name).size());
    text += strprintf("tensors (%zu)\n", file.tensors().size());
    for (const GgufTensor& t : file.tensors())
        text += strprintf("  %-*s  %-6s %-16s %s\n", static_cast<int>(width), printable(t.name).c_str(),
                          dtype_info(t.type)->name, shape_text(t.shape).c_str(),
                          human_bytes(static_cast<double>(t.data.size())).c_str());
    return text;
}

// Prints the plans for a prompt and for one more token, which depend on the model's sizes only.
void dump_plans(const std::string& path) {
    const std::unique_ptr<CpuBackend> backend = make_backend({});
    PlanPrinter printer(*backend);
    const LoadedModel model(model_file(path), printer);
    Engine engine(printer, model.config(), model.weights());
    const std::vector<int32_t> tokens(2, 0);
    if (model.config().has_encoder()) engine.encode(0, std::span(tokens).first(1));
    engine.append(0, std::span(tokens).first(std::min<size_t>(2, static_cast<size_t>(engine.context()))));
    engine.reset();
    engine.append(0, std::span(tokens).first(1));
}

void info(const Options& o) {
    if (o.dump_plan) return dump_plans(o.model);
    const GgufFile file = GgufFile::open(model_file(o.model));
    const Json json = describe_file(file);
    if (o.json)
        print_json(json);
    else
        print(text_of_file(file, json));
}

}  // namespace

void info_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_argument(app, o->model);
    auto* json = app.add_flag("--json", o->json, "print one JSON object");
    app.add_flag("--dump-plan", o->dump_plan, "print instead what runs for a prompt and for one token")->excludes(json);
    app.footer(std::string("Any GGUF file can be shown, also a training state.\n\n") + kPlanLegend +
               "\n\nExample:\n  nib info shakespeare.gguf");
    app.callback([o] { info(*o); });
}

}  // namespace nib
