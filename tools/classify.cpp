// nib classify: the classes of texts.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/encoder.h"
#include "infer/probabilities.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "task/label_scores.h"
#include "task/table_file.h"
#include "texts.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "Prints a line of JSON for each text: {\"text\":...,\"label\":...,\"probability\":...}, and with --top more than one "
    "label of each, the most probable first. Of a model that gives a text any number of labels (`nib train "
    "--multi-label`): "
    "{\"text\":...,\"labels\":[...]}, those whose probability is 0.5 or more. Of one that says a number (`nib train --task "
    "regress`): {\"text\":...,\"number\":...}.\n\n"
    "Examples:\n"
    "  nib classify mood.gguf \"what a film\"\n"
    "  nib classify mood.gguf --file lines.txt --top 3\n"
    "  nib classify entails.gguf \"a man sleeps\" --second \"a man is awake\"\n"
    "  nib classify entails.gguf --file pairs.tsv --text-column 1 --second-column 2";

struct Options {
    ModelOptions model;
    int64_t top = 0;  // 0: not given
    double threshold = 0.5;
    bool logits = false;
    TextOptions texts;
    std::vector<std::string> second;  // of each text
    LabelColumns columns;             // of a table in --file
    BackendOptions backend;
};

// A text, or two, as they are printed and as the model reads them.
struct Item {
    std::string text;
    std::optional<std::string> second;
    TextTokens tokens;
};

Item make_item(std::string text, std::optional<std::string> second, const Options& o, const LoadedModel& model,
               const std::string& where) {
    const Room room = context_room(model);
    TextTokens tokens =
        second ? encode_pair(text, *second, o.texts, model, where, room) : encode_text(text, o.texts, model, where, room);
    return {std::move(text), std::move(second), std::move(tokens)};
}

std::vector<Item> read_table(const Options& o, const LoadedModel& model) {
    TableOptions columns;
    columns.texts = {o.columns.text};
    if (!o.columns.second.empty()) columns.texts.push_back(o.columns.second);
    if (o.columns.header || o.columns.no_header) columns.header = o.columns.header;
    TableFile file(o.texts.file, columns);
    std::vector<Item> items;
    for (Example example; file.next(example);) {
        std::optional<std::string> second;
        if (example.texts.size() > 1) second = std::move(example.texts[1]);
        items.push_back(make_item(std::move(example.texts[0]), std::move(second), o, model, file.where(example.number)));
    }
    if (items.empty()) fail("%s: has no texts", printable(o.texts.file, 400).c_str());
    return items;
}

std::vector<Item> read_items(const Options& o, const LoadedModel& model) {
    if (!(o.columns == LabelColumns{})) {
        if (o.texts.file.empty()) fail_usage("columns are of a table; name it with --file");
        if (o.columns.text.empty()) fail_usage("--text-column is needed for a table, too");
        return read_table(o, model);
    }
    std::vector<Item> items;
    if (o.second.empty()) {
        for (EncodedText& text : read_texts(o.texts, model, context_room(model)))
            items.push_back({std::move(text.text), {}, std::move(text.tokens)});
        return items;
    }
    if (o.second.size() != o.texts.texts.size())
        fail_usage("--second gives %s to %s; each belongs to one", counted(std::ssize(o.second), "second text").c_str(),
                   counted(std::ssize(o.texts.texts), "text").c_str());
    for (size_t i = 0; i < o.second.size(); ++i)
        items.push_back(make_item(o.texts.texts[i], o.second[i], o, model, strprintf("text %zu", i + 1)));
    return items;
}

nlohmann::ordered_json json_of(const std::string& label, double probability) {
    return {
        {"label",       label      },
        {"probability", probability},
    };
}

// All that are as probable as is asked for, the most probable first.
nlohmann::ordered_json labels_of(std::span<const float> logits, double threshold, const std::vector<std::string>& names) {
    std::vector<int32_t> labels = labels_above(logits, threshold);
    std::stable_sort(labels.begin(), labels.end(),
                     [&](int32_t a, int32_t b) { return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)]; });
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const int32_t label : labels) {
        const auto at = static_cast<size_t>(label);
        all.push_back(json_of(names[at], 1 / (1 + std::exp(-static_cast<double>(logits[at])))));
    }
    return all;
}

void classify(const Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const Head& head = encoder.model().head("class");
    const HeadConfig& config = *model.config().find_head("class");
    if (!(o.threshold >= 0 && o.threshold <= 1))
        fail_usage("--threshold is %g; a probability is between 0 and 1", o.threshold);
    if (config.multi_label ? o.top > 0 : o.threshold != 0.5)
        fail_usage(config.multi_label ? "--top is for models that give a text one label; choose --threshold"
                                      : "--threshold is for models that give a text any number of labels; choose --top");
    const std::vector<std::string>& labels = config.labels;
    const std::vector<Item> items = read_items(o, model);
    std::vector<TextTokens> tokens;
    for (const Item& item : items) tokens.push_back(item.tokens);
    const auto N = static_cast<size_t>(head.outputs);
    const std::vector<float> logits = encoder.logits("class", tokens, SequenceEncoder::places_of(head, tokens));
    for (size_t i = 0; i < items.size(); ++i) {
        const std::span<const float> row(&logits[i * N], N);
        nlohmann::ordered_json json = {
            {"text", items[i].text}
        };
        if (items[i].second) json["second"] = *items[i].second;
        if (config.multi_label) {
            json["labels"] = labels_of(row, o.threshold, labels);
        } else if (N == 1) {  // a head of numbers
            json["number"] = row[0];
            print_json(json);
            continue;
        } else {
            const std::vector<Ranked> best = most_probable(row, static_cast<size_t>(std::max<int64_t>(o.top, 1)));
            json.update(json_of(labels[best[0].index], best[0].probability));
            if (o.top > 1)
                for (const Ranked& one : best) json["labels"].push_back(json_of(labels[one.index], one.probability));
        }
        if (o.logits) json["logits"] = std::vector<float>(row.begin(), row.end());
        print_json(json);
    }
}

}  // namespace

void classify_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    add_text_options(app, o->texts);
    app.add_option("--second", o->second, "the second of two texts that belong together; of several, in their order")
        ->type_name("TEXT")
        ->expected(1)
        ->take_all()
        ->excludes("--file")
        ->excludes("--tokens");
    add_column_options(app, o->columns);
    app.add_option("--top", o->top, "labels of each text, the most probable first (default: 1)")
        ->transform(whole_number(1, 1 << 24))
        ->type_name("N");
    app.add_option("--threshold", o->threshold, "of any number of labels: those of this probability or more")
        ->transform(real_number())
        ->type_name("X")
        ->capture_default_str();
    app.add_flag("--logits", o->logits, "also the logits of all classes");
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o] { on_device(o->backend, [&](std::unique_ptr<Backend> backend) { classify(*o, *backend); }); });
}

}  // namespace nib
