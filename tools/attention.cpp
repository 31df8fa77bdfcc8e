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
#include "infer/beam.h"
#include "input.h"
#include "io/atomic_file.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "texts.h"

namespace nib {
namespace {

constexpr size_t kMostText = size_t{1} << 24;  // bytes

constexpr const char* kFooter =
    "The page opens in any browser and needs nothing else. It shows the attention of every head in every layer, with the "
    "text's tokens as rows (those that look) and columns (those that are looked at), and, for models that predict tokens, "
    "what each layer would predict at each of them: the model's last norm and head applied to that layer's output. Of a "
    "model with an encoder it has three parts: how the encoder's and the decoder's tokens look at their own text, and how "
    "the decoder's look at the encoder's. The decoder reads --target or, without it, what the model itself writes, "
    "taking the most probable token at each step.\n\n"
    "--json prints the same numbers as one line of JSON: {\"attention\": [{\"name\", \"queries\", \"keys\", \"weights\"}], "
    "\"predictions\": {\"head\", \"layers\"}}. Queries and keys are tokens, weights lists by layer, head, query and key, "
    "predictions lists by layer and token.\n\n"
    "Examples:\n"
    "  nib attention model.gguf -p \"The fox that ate the crow slept\" -o look.html\n"
    "  nib attention bert.gguf --tokens \"101 1996 4419 102\" --json\n"
    "  nib attention en-de.gguf -p \"It is late.\" --target \"Es ist spät.\" -o look.html";

struct Options {
    ModelOptions model;
    std::string prompt, file, tokens, target, out;
    bool has_prompt = false, has_tokens = false, has_target = false, json = false;
    int64_t top = 5;
    TextOptions text;
    BackendOptions backend;
};

Room room_of(const ModelConfig& config) {
    const int64_t longest = longest_view(config);
    Room room{static_cast<size_t>(longest)};
    if (longest < config.context)
        room.where = strprintf("a page of %lld heads", static_cast<long long>(viewed_heads(config)));
    return room;
}

TextTokens read_tokens(Options& o, const LoadedModel& model) {
    const Room room = room_of(model.config());
    if (o.has_tokens) return parse_text(o.tokens, o.text, model, "the text", room);
    if (!o.has_prompt) {  // standard input is read once
        o.prompt = read_input(o.file, kMostText);
        drop_line_end(o.prompt);
        o.has_prompt = true;
    }
    return encode_text(o.prompt, o.text, model, "the text", room);
}

// What the decoder reads: the token that it starts with, and the target or what the model writes of the source.
TextTokens decoder_tokens(const Options& o, const LoadedModel& model, Backend& backend, const TextTokens& source) {
    const ModelConfig& c = model.config();
    Room room = room_of(c);
    room.tokens -= 1;
    std::vector<int32_t> ids = {static_cast<int32_t>(c.encoder_decoder.start)};
    const auto add = [&](const std::vector<int32_t>& more) { ids.insert(ids.end(), more.begin(), more.end()); };
    if (o.has_target) {
        add(read_target(o.target, o.has_tokens, o.text, model, "the target", room));
    } else if (room.tokens > 0) {
        BeamOptions greedy;
        set_ends(greedy, model);
        greedy.count = static_cast<int64_t>(room.tokens);
        Engine engine(backend, c, model.weights(), {.source_context = std::ssize(source.ids)});
        translate(engine, std::vector<std::vector<int32_t>>{source.ids}, greedy,
                  [&](size_t, const std::vector<Hypothesis>& found) { add(found[0].ids); });
    }
    return {std::move(ids), {}};
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

nlohmann::ordered_json view_json(const TextView& view, const LoadedModel& model) {
    const Tokenizer &text = model.target_tokenizer(), &source = model.tokenizer();
    nlohmann::ordered_json json;
    for (const AttentionMap& map : view.maps) {
        const size_t sizes[] = {static_cast<size_t>(map.layers), static_cast<size_t>(map.heads), map.queries.size(),
                                map.keys.size()};
        json["attention"].push_back({
            {"name",                   map.name                           },
            { "queries", tokens_json(map.queries, map.source_queries ? source : text)},
            { "keys",    tokens_json(map.keys,    map.source_keys ? source : text)},
            { "weights",      nested(map.weights,                              sizes)}
        });
    }
    if (!view.predictions.head.empty()) json["predictions"] = predictions_json(view.predictions, text);
    return json;
}

void attention(Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    if (std::error_code error; !o.json && std::filesystem::equivalent(o.out, model.file().name(), error))
        fail("--output %s is the model itself; choose another file", printable(o.out).c_str());
    const ModelConfig& config = model.config();
    if (o.has_target && !config.has_encoder()) fail_usage("--target is for models with an encoder");
    TextTokens text = read_tokens(o, model), source;
    if (config.has_encoder()) {
        source = std::move(text);
        text = decoder_tokens(o, model, backend, source);
    }
    const TextView view = view_text(backend, config, model.weights(), text, static_cast<size_t>(o.top), source.ids);
    if (o.json) return print_json(view_json(view, model));
    const std::string name = std::filesystem::path(model.file().name()).filename().string();
    write_file_atomically(o.out, attention_page(name, view, model.target_tokenizer(), model.tokenizer()));
}

}  // namespace

void attention_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    auto* prompt = app.add_option("-p,--prompt", o->prompt, "the text")->type_name("TEXT");
    auto* file = app.add_option("--file", o->file, "a file or pipe with the text; - is standard input")
                     ->type_name("FILE")
                     ->excludes(prompt);
    auto* tokens = app.add_option("--tokens", o->tokens,
                                  "the text as token numbers, as in \"1 2 3\", with those that begin and end it")
                       ->check(token_list())
                       ->type_name("IDS")
                       ->excludes(prompt, file);
    auto* target =
        app.add_option("--target", o->target,
                       "what a model with an encoder writes of the text, with --tokens as token numbers (default: its "
                       "own translation)")
            ->type_name("TEXT");
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
        o->has_target = target->count() > 0;
        drop_mark(o->prompt);
        drop_mark(o->target);
        if (out->count() == 0 && json->count() == 0) throw CLI::RequiredError("--output or --json");
        if (!o->has_prompt && !o->has_tokens && o->file.empty()) {
            if (!stdin_has_text()) throw CLI::RequiredError("--prompt, --file or --tokens");
            o->file = "-";
        }
        on_device(o->backend, [&](std::unique_ptr<Backend> backend) { attention(*o, *backend); });
    });
}

}  // namespace nib
