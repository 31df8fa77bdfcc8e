// nib translate: a model with an encoder reads a text and writes another.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "beam_options.h"
#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/beam.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "texts.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "Each text gives a line, an empty line of a file an empty one. With --n-best each gives as many lines, the best first: "
    "score, tab, text. The score is log p / n^A, where p is the probability of the n tokens with the one that ends them "
    "and A the length penalty; 0 prefers short texts. A beam of 1 takes the most probable token at each step.\n\n"
    "Examples:\n"
    "  nib translate reverse.gguf \"stressed\"\n"
    "  nib translate m.gguf --file names.txt --beam 4 --n-best 2\n"
    "  nib translate m.gguf --file - < names.txt";

struct Options {
    ModelOptions model;
    std::string cache = "f16";
    BeamOptions beam;
    int64_t best = 1;
    bool numbered = false;  // whether each line has a score
    TextOptions texts;
    BackendOptions backend;
};

std::string shown(const Options& o, const Tokenizer& tokenizer, const std::vector<Hypothesis>& found) {
    std::string text;
    for (size_t i = 0; i < std::min(found.size(), static_cast<size_t>(o.best)); ++i) {
        if (o.numbered) text += strprintf("%.6f\t", found[i].score);
        text += text_of(found[i], tokenizer) + "\n";
    }
    return text;
}

// Prints what is known, as far as nothing before it is missing.
class InOrder {
public:
    void add(size_t number, std::string text) {
        waiting_[number] = std::move(text);
        for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_; ++next_) {
            print(first->second);
            first = waiting_.erase(first);
        }
    }

private:
    std::map<size_t, std::string> waiting_;
    size_t next_ = 0;
};

void translate_texts(const Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    BeamOptions beam = o.beam;
    set_ends(beam, model);

    const std::vector<EncodedText> texts = read_texts(o.texts, model, context_room(model));
    InOrder lines;
    std::vector<size_t> numbers;  // of texts that are not empty
    std::vector<std::vector<int32_t>> sources;
    for (size_t i = 0; i < texts.size(); ++i) {
        if (texts[i].tokens.ids.empty()) {
            if (o.texts.file.empty()) fail("text %zu is empty", i + 1);
            lines.add(i, "\n");
            continue;
        }
        numbers.push_back(i);
        sources.push_back(texts[i].tokens.ids);
    }
    if (sources.empty()) return;
    size_t longest = 0;
    for (const auto& source : sources) longest = std::max(longest, source.size());
    Engine engine = translation_engine(backend, model, beam, std::ssize(sources), longest, float_type(o.cache));
    translate(engine, sources, beam, [&](size_t source, const std::vector<Hypothesis>& found) {
        lines.add(numbers[source], shown(o, model.target_tokenizer(), found));
    });
}

}  // namespace

void translate_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    o->texts.keep_empty = true;
    add_model_options(app, o->model);
    add_text_options(app, o->texts);
    add_beam_options(app, o->beam);
    auto* best = app.add_option("--n-best", o->best, "results of each text, with their scores; at most --beam")
                     ->transform(whole_number())
                     ->type_name("N");
    app.add_option("-n,--count", o->beam.count, "tokens at most (default: the model's context)")
        ->transform(whole_number(1))
        ->type_name("N");
    add_cache_option(app, o->cache);
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o, best] {
        o->numbered = best->count() > 0;
        check_options(o->beam);
        if (o->best < 1 || o->best > o->beam.beams)
            fail_usage("--n-best is %lld; it must be between 1 and --beam, %lld", static_cast<long long>(o->best),
                       static_cast<long long>(o->beam.beams));
        on_device(o->backend, [&](std::unique_ptr<Backend> backend) { translate_texts(*o, *backend); });
    });
}

}  // namespace nib
