// nib attention: which words of a text a model looks at, as a page.
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/attention_map.h"
#include "infer/attention_page.h"
#include "input.h"
#include "io/atomic_file.h"
#include "model/loaded_model.h"
#include "options.h"
#include "texts.h"

namespace nib {
namespace {

constexpr size_t kMostText = size_t{1} << 24;  // bytes

constexpr const char* kFooter =
    "The page opens in any browser and needs nothing else. It shows the attention of every head in every layer, with the "
    "text's tokens as rows (those that look) and columns (those that are looked at), and, for models that predict tokens, "
    "what each layer would predict at each of them: the model's last norm and head applied to that layer's output.\n\n"
    "--json prints the same numbers as one line of JSON: {\"attention\": [{\"name\", \"queries\", \"keys\", \"weights\"}], "
    "\"predictions\": {\"head\", \"layers\"}}. Queries and keys are tokens, weights lists by layer, head, query and key, "
    "predictions lists by layer and token.\n\n"
    "Examples:\n"
    "  nib attention model.gguf -p \"The fox that ate the crow slept\" -o look.html\n"
    "  nib attention bert.gguf --tokens \"101 1996 4419 102\" --json";

struct Options {
    std::string model, prompt, file, tokens, out;
    bool has_prompt = false, has_tokens = false, json = false;
    int64_t top = 5;
    TextOptions text;
    BackendOptions backend;
};

TextTokens read_tokens(Options& o, const LoadedModel& model) {
    const ModelConfig& c = model.config();
    const int64_t longest = longest_view(c);
    Room room{static_cast<size_t>(longest)};
    if (longest < c.context) room.where = strprintf("a page of %lld heads", static_cast<long long>(c.layers * c.heads));
    if (o.has_tokens) return parse_text(o.tokens, o.text, model, "the text", room);
    if (!o.has_prompt) {  // standard input is read once
        o.prompt = read_input(o.file, kMostText);
        drop_line_end(o.prompt);
        o.has_prompt = true;
    }
    if (o.prompt.empty()) fail("the text is empty");
    return encode_text(o.prompt, o.text, model, "the text", room);
}

// Seven decimals, which is what floats have.
nlohmann::ordered_json rounded(std::span<const float> row) {
    std::vector<double> values;
    for (const float value : row) values.push_back(std::round(1e7 * static_cast<double>(value)) / 1e7);
    return values;
}

// (n,...) values as n lists, each of these by the sizes that follow.
nlohmann::ordered_json nested(std::span<const float> values, std::span<const size_t> sizes) {
    if (sizes.size() == 1) return rounded(values);
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    const size_t part = values.size() / sizes[0];
    for (size_t i = 0; i < sizes[0]; ++i) list.push_back(nested(values.subspan(i * part, part), sizes.subspan(1)));
    return list;
}

nlohmann::ordered_json tokens_json(const std::vector<int32_t>& ids, const Tokenizer& tokenizer) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const int32_t id : ids)
        list.push_back({
            {"id",                   id },
            { "token", token_label(tokenizer, id)}
        });
    return list;
}

nlohmann::ordered_json predictions_json(const LayerPredictions& p, const Tokenizer& tokenizer) {
    nlohmann::ordered_json layers = nlohmann::ordered_json::array();
    auto next = p.best.begin();
    for (int64_t l = 0; l < p.layers; ++l) {
        nlohmann::ordered_json& layer = layers.emplace_back(nlohmann::ordered_json::array());
        for (size_t t = 0; t < p.ids.size(); ++t) {
            nlohmann::ordered_json& best = layer.emplace_back(nlohmann::ordered_json::array());
            for (size_t i = 0; i < p.top; ++i, ++next)
                best.push_back({
                    {"token", token_label(tokenizer, static_cast<int32_t>(next->index))},
                    {"id",       next->index                        },
                    {"probability",       next->probability}
                });
        }
    }
    return {
        {"head",   p.head           },
        {"layers", std::move(layers)}
    };
}

nlohmann::ordered_json view_json(const TextView& view, const Tokenizer& tokenizer) {
    nlohmann::ordered_json json;
    for (const AttentionMap& map : view.maps) {
        const size_t sizes[] = {static_cast<size_t>(map.layers), static_cast<size_t>(map.heads), map.queries.size(),
                                map.keys.size()};
        json["attention"].push_back({
            {"name",                   map.name  },
            { "queries", tokens_json(map.queries, tokenizer)},
            { "keys",    tokens_json(map.keys, tokenizer)},
            { "weights",      nested(map.weights,     sizes)}
        });
    }
    if (!view.predictions.head.empty()) json["predictions"] = predictions_json(view.predictions, tokenizer);
    return json;
}

void attention(Options& o, Backend& backend) {
    const LoadedModel model(model_file(o.model), backend);
    if (std::error_code error; !o.json && std::filesystem::equivalent(o.out, model.file().name(), error))
        fail("--output %s is the model itself; choose another file", printable(o.out).c_str());
    const TextTokens text = read_tokens(o, model);
    const TextView view = view_text(backend, model.config(), model.weights(), text, static_cast<size_t>(o.top));
    if (o.json) return print_json(view_json(view, model.tokenizer()));
    const std::string name = std::filesystem::path(model.file().name()).filename().string();
    write_file_atomically(o.out, attention_page(name, view, model.tokenizer()));
}

}  // namespace

void attention_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_argument(app, o->model);
    auto* prompt = app.add_option("-p,--prompt", o->prompt, "the text")->type_name("TEXT");
    auto* file = app.add_option("--file", o->file, "a file or pipe with the text; - is standard input")
                     ->type_name("FILE")
                     ->excludes(prompt);
    auto* tokens = app.add_option("--tokens", o->tokens, "the text as token numbers, as in \"1 2 3\"")
                       ->check(token_list())
                       ->type_name("IDS")
                       ->excludes(prompt, file);
    auto* out = app.add_option("-o,--output", o->out, "the page to write")->type_name("FILE");
    auto* json = app.add_flag("--json", o->json, "print the numbers as JSON instead")->excludes(out);
    app.add_option("--top", o->top, "predictions for each layer and token; 0: none")
        ->capture_default_str()
        ->transform(whole_number(0, 100))
        ->type_name("N");
    app.add_flag("--truncate", o->text.truncate, "cut a text that is longer than there is room for (default: an error)");
    add_special_option(app, o->text.encode);
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([=] {
        o->has_prompt = prompt->count() > 0, o->has_tokens = tokens->count() > 0;
        drop_mark(o->prompt);
        if (out->count() == 0 && json->count() == 0) throw CLI::RequiredError("--output or --json");
        if (!o->has_prompt && !o->has_tokens && o->file.empty()) {
            if (!stdin_has_text()) throw CLI::RequiredError("--prompt, --file or --tokens");
            o->file = "-";
        }
        on_device(o->backend, [&](std::unique_ptr<Backend> backend) { attention(*o, *backend); });
    });
}

}  // namespace nib
