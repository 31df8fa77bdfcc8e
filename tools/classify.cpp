// nib classify: the classes of texts.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "infer/encoder.h"
#include "infer/probabilities.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "texts.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "Prints a line of JSON for each text: {\"text\":...,\"label\":...,\"probability\":...}, and with --top more than one "
    "label of each, the most probable first. Of a model that says a number (`nib train --task regress`): "
    "{\"text\":...,\"number\":...}.\n\n"
    "Examples:\n"
    "  nib classify mood.gguf \"what a film\"\n"
    "  nib classify mood.gguf --file lines.txt --top 3";

struct Options {
    ModelOptions model;
    int64_t top = 1;
    bool logits = false;
    TextOptions texts;
    BackendOptions backend;
};

void classify(const Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const Head& head = encoder.model().head("class");
    const std::vector<std::string>& labels = model.config().find_head("class")->labels;
    const std::vector<EncodedText> texts = read_texts(o.texts, model, context_room(model));
    const std::vector<TextTokens> tokens = tokens_of(texts);
    const auto N = static_cast<size_t>(head.outputs);
    const std::vector<float> logits = encoder.logits("class", tokens, SequenceEncoder::places_of(head, tokens));
    for (size_t i = 0; i < texts.size(); ++i) {
        const std::span<const float> row(&logits[i * N], N);
        if (N == 1) {  // a head of numbers
            print_json({
                {"text",   texts[i].text},
                {"number", row[0]       },
            });
            continue;
        }
        const std::vector<Ranked> best = most_probable(row, static_cast<size_t>(o.top));
        nlohmann::ordered_json json = {
            {"text",        texts[i].text        },
            {"label",       labels[best[0].index]},
            {"probability", best[0].probability  },
        };
        if (o.top > 1)
            for (const Ranked& one : best)
                json["labels"].push_back({
                    {"label",       labels[one.index]},
                    {"probability", one.probability  },
                });
        if (o.logits) json["logits"] = std::vector<float>(row.begin(), row.end());
        print_json(json);
    }
}

}  // namespace

void classify_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    add_text_options(app, o->texts);
    app.add_option("--top", o->top, "labels of each text, the most probable first")
        ->transform(whole_number(1, 1 << 24))
        ->type_name("N");
    app.add_flag("--logits", o->logits, "also the logits of all classes");
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o] { on_device(o->backend, [&](std::unique_ptr<Backend> backend) { classify(*o, *backend); }); });
}

}  // namespace nib
