// nib tag: the tags of words, and the spans that they make.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/encoder.h"
#include "input.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "task/labelled_text.h"
#include "task/metrics/tag_spans.h"
#include "texts.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "A text is words with spaces between them, as those that the model was trained on. Prints a line of JSON for each "
    "text: "
    "{\"text\":...,\"spans\":[{\"type\":\"PER\",\"text\":\"Jane "
    "Austen\",\"first\":0,\"last\":1}],\"words\":[...],\"tags\":[...]}; words "
    "are counted from 0.\n\n"
    "Examples:\n"
    "  nib tag ner.gguf \"Jane Austen lived in Bath .\"\n"
    "  nib tag ner.gguf --file sentences.txt";

struct Options {
    ModelOptions model;
    std::vector<std::string> texts;
    std::string file;
    BackendOptions backend;
};

std::vector<std::string> words_of(const std::string& text) {
    constexpr const char* kSpaces = " \t\r\n";
    std::vector<std::string> words;
    for (size_t at = text.find_first_not_of(kSpaces); at != std::string::npos;) {
        const size_t end = std::min(text.find_first_of(kSpaces, at), text.size());
        words.push_back(text.substr(at, end - at));
        at = text.find_first_not_of(kSpaces, end);
    }
    return words;
}

std::string joined(const std::vector<std::string>& words, size_t first, size_t last) {
    std::string text = words[first];
    for (size_t i = first + 1; i <= last; ++i) text += " " + words[i];
    return text;
}

void print_tags(const std::string& text, const std::vector<std::string>& words, const std::vector<std::string>& tags) {
    nlohmann::ordered_json json = {
        {"text",  text                           },
        {"spans", nlohmann::ordered_json::array()},
    };
    for (const TagSpan& span : tag_spans(tags))
        json["spans"].push_back({
            {"type",      span.type   },
            {"text",      joined(words, span.first, span.last)},
            {"first", span.first            },
            {"last", span.last},
        });
    json["words"] = words;
    json["tags"] = tags;
    print_json(json);
}

// Error for a text, the i-th, that is longer than the model's context.
void check_room(const std::string& text, size_t i, const Options& o, const LoadedModel& model) {
    const std::vector<std::string> words = words_of(text);
    std::vector<size_t> places;
    encode_words(model.tokenizer(), words, {}, model.config().context, &places);
    if (places.size() == words.size()) return;
    const std::string where =
        i < o.texts.size() ? "" : strprintf("%s: line %zu: ", printable(o.file).c_str(), i - o.texts.size() + 1);
    fail("%sa text of %zu words does not fit into the model's context of %lld tokens", where.c_str(), words.size(),
         static_cast<long long>(model.config().context));
}

void tag(const Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const Head& head = encoder.model().head("tag");
    const std::vector<std::string>& labels = model.config().find_head("tag")->labels;
    std::vector<std::string> texts = o.texts;
    if (!o.file.empty())
        for (std::string& line : lines_of(read_input(o.file))) texts.push_back(std::move(line));
    if (texts.empty()) fail_usage("give texts, or a file of them");
    for (size_t i = 0; i < texts.size(); ++i) check_room(texts[i], i, o, model);
    for (const std::string& text : texts) {
        const std::vector<std::string> words = words_of(text);
        std::vector<size_t> places;
        LabelledExample example = encode_words(model.tokenizer(), words, {}, model.config().context, &places);
        std::vector<std::string> tags;
        if (!words.empty()) {
            std::vector<TokenPlace> wanted;
            for (const size_t place : places) wanted.push_back({0, static_cast<int64_t>(place)});
            const std::vector<TextTokens> tokens = {
                {std::move(example.text.ids), {}}
            };
            const std::vector<float> logits = encoder.logits("tag", tokens, wanted);
            for (size_t w = 0; w < words.size(); ++w) {
                const auto row = logits.begin() + static_cast<std::ptrdiff_t>(w) * head.outputs;
                tags.push_back(labels[static_cast<size_t>(std::max_element(row, row + head.outputs) - row)]);
            }
        }
        print_tags(text, words, tags);
    }
}

}  // namespace

void tag_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    app.add_option("TEXT", o->texts, "texts, each an argument");
    app.add_option("--file", o->file, "a file with a text on each line; -: standard input")->type_name("FILE");
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o] { on_device(o->backend, [&](std::unique_ptr<Backend> backend) { tag(*o, *backend); }); });
}

}  // namespace nib
