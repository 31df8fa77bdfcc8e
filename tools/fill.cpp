// nib fill: the words that a text leaves out.
#include <algorithm>
#include <memory>
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
#include "texts.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "Every mask of a text gets a line of JSON: "
    "{\"mask\":1,\"tokens\":[{\"token\":...,\"id\":...,\"probability\":...},...]}, "
    "the most probable token first. Each mask is predicted with the others in place.\n\n"
    "Examples:\n"
    "  nib fill bert.gguf \"Paris is the [MASK] of France.\"\n"
    "  nib fill bert.gguf --tokens \"101 3000 103 102\" --mask-id 103";

struct Options {
    ModelOptions model;
    int64_t top = 5, mask = -1;
    TextOptions texts;
    BackendOptions backend;
};

// The id of the mask: as given, or what "[MASK]" is in the vocabulary.
int32_t mask_of(const Options& o, const LoadedModel& model) {
    if (o.mask >= model.config().vocab)
        fail("--mask-id %lld is not among the %lld tokens of the model", static_cast<long long>(o.mask),
             static_cast<long long>(model.config().vocab));
    if (o.mask >= 0) return static_cast<int32_t>(o.mask);
    if (const int32_t mask = model.tokenizer().mask_token(); mask >= 0) return mask;
    const bool has_text = model.tokenizer().kind() != std::string_view("none");
    if (const auto ids = has_text ? model.tokenizer().encode("[MASK]", {.skip_unknown = true}) : std::vector<int32_t>();
        ids.size() == 1)
        return ids[0];
    fail("%s names no mask token; give its number with --mask-id", model.file().name().c_str());
}

// Of one token alone: without the blank before it in a text.
std::string text_of(const Tokenizer& tokenizer, int32_t id) { return tokenizer.decode(std::span(&id, 1)); }

void fill(const Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const auto N = static_cast<size_t>(encoder.model().head("mlm").outputs);
    const int32_t mask = mask_of(o, model);
    const std::vector<EncodedText> texts = read_texts(o.texts, model, context_room(model));
    std::vector<TokenPlace> places;
    for (size_t i = 0; i < texts.size(); ++i) {
        const size_t before = places.size();
        const std::vector<int32_t>& ids = texts[i].tokens.ids;
        for (size_t t = 0; t < ids.size(); ++t)
            if (ids[t] == mask) places.push_back({i, static_cast<int64_t>(t)});
        if (places.size() == before)
            fail("text %zu has no %s to fill; write it where a word is missing", i + 1,
                 printable(text_of(model.tokenizer(), mask), 40).c_str());
    }
    const std::vector<float> logits = encoder.logits("mlm", tokens_of(texts), places);
    for (size_t i = 0; i < places.size(); ++i) {
        size_t number = 1;  // of this text's masks
        for (size_t j = i; j > 0 && places[j - 1].text == places[i].text; --j) ++number;
        nlohmann::ordered_json json;
        if (texts.size() > 1) json["text"] = texts[places[i].text].text;
        json["mask"] = number;
        for (const Ranked& one : most_probable({&logits[i * N], N}, static_cast<size_t>(o.top)))
            json["tokens"].push_back({
                {"token", text_of(model.tokenizer(), static_cast<int32_t>(one.index))},
                {"id",       one.index                            },
                {"probability",       one.probability},
            });
        print_json(json);
    }
}

}  // namespace

void fill_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    add_text_options(app, o->texts);
    app.add_option("--top", o->top, "tokens for each mask")
        ->capture_default_str()
        ->transform(whole_number(1, 1 << 24))
        ->type_name("N");
    app.add_option("--mask-id", o->mask, "number of the mask token (default: as the model names it)")
        ->transform(whole_number(0, INT32_MAX))
        ->type_name("ID");
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o] { on_device(o->backend, [&](std::unique_ptr<Backend> backend) { fill(*o, *backend); }); });
}

}  // namespace nib
