// nib info: what is in a model file.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/session.h"
#include "io/gguf.h"
#include "model/config.h"
#include "model/loaded_model.h"
#include "options.h"
#include "plan_printer.h"
#include "text/char_tokenizer.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShownCharacters = 120;  // bytes of the vocabulary

struct Options {
    std::string model;
    bool json = false, dump_plan = false;
};

std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text;
    for (const int64_t d : shape) text += (text.empty() ? "(" : ",") + std::to_string(d);
    return text + ")";
}

template <class T>
constexpr bool is_array = false;
template <class T>
constexpr bool is_array<std::vector<T>> = true;

// A scalar as it is, of an array its type and length.
Json json_value(const GgufValue& value) {
    return std::visit(
        [&](const auto& v) -> Json {
            using T = std::decay_t<decltype(v)>;
            if constexpr (is_array<T>)
                return gguf_type_name(value) + ", " + std::to_string(v.size());
            else if constexpr (std::is_same_v<T, float>)
                return std::strtod(strprintf("%.7g", static_cast<double>(v)).c_str(), nullptr);  // 1e-05, not 9.99...e-06
            else
                return v;
        },
        value);
}

int64_t count_elements(const GgufFile& file) {
    int64_t count = 0;
    for (const GgufTensor& t : file.tensors()) {
        int64_t elements = 1;
        for (const int64_t d : t.shape) elements *= d;
        count += elements;
    }
    return count;
}

const char* act_name(Act act) {
    switch (act) {
        case Act::GeluTanh: return "gelu_tanh";
        case Act::GeluErf: return "gelu_erf";
        case Act::Relu: return "relu";
        case Act::None: break;
    }
    return "none";
}

Json json_model(const GptConfig& c) {
    return {
        {"layers",       c.layers        },
        {"heads",        c.heads         },
        {"channels",     c.embd          },
        {"feed_forward", c.feed_forward()},
        {"context",      c.context       },
        {"vocabulary",   c.vocab         },
        {"activation",   act_name(c.act) },
        {"tied",         c.tied          },
    };
}

// What a model file says about itself; of other GGUF files only the first two and the tensors.
Json describe_file(const GgufFile& file) {
    Json json = {
        {"file",               file.name()},
        {              "bytes", file.bytes().size()           },
        { "architecture",             file.get_or<std::string>("general.architecture",                        "none")}
    };
    const bool known = json["architecture"] == "gpt2";
    if (known) json["model"] = json_model(read_config(file));
    json["parameters"] = count_elements(file);
    if (known && file.value("tokenizer.ggml.tokens") != nullptr) {
        const std::unique_ptr<Tokenizer> tokenizer = read_tokenizer(file);
        json["tokenizer"] = {
            {"kind", tokenizer->kind()      },
            {"size", tokenizer->vocab_size()}
        };
        std::string characters;
        for (int32_t id = 0; id < tokenizer->vocab_size() && characters.size() < kShownCharacters; ++id)
            characters += tokenizer->decode(id);
        json["tokenizer"]["first_tokens"] = characters;
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
        text += strprintf("%-16s", key.c_str()) + value + "\n";
    };
    line("file", printable(file.name()) + ", " + human_bytes(static_cast<double>(file.bytes().size())));
    line("architecture", text_of(json["architecture"]));
    if (json.contains("model"))
        for (const auto& [key, value] : json["model"].items()) line("  " + key, text_of(value));
    line("parameters", text_of(json["parameters"]));
    if (json.contains("tokenizer")) {
        const Json& tokenizer = json["tokenizer"];
        line("tokenizer", text_of(tokenizer["kind"]) + ", " + text_of(tokenizer["size"]) +
                              " tokens: " + text_of(tokenizer["first_tokens"]));
    }
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

// Of a prompt, the head, and one more token. Only the model's sizes matter.
void dump_plans(const std::string& path) {
    const std::unique_ptr<CpuBackend> backend = make_backend({});
    PlanPrinter printer(*backend);
    const LoadedModel model(model_file(path), printer);
    Session session(printer, model.config(), model.weights());
    const std::vector<int32_t> tokens(2, 0);
    session.prefill(std::span(tokens).first(std::min<size_t>(2, static_cast<size_t>(session.context()))));
    session.reset();
    session.decode(std::span(tokens).first(1));
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
