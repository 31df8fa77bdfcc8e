// nib translate: a model with an encoder reads a text and writes another.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/beam.h"
#include "input.h"
#include "model/loaded_model.h"
#include "options.h"
#include "text/token_numbers.h"

namespace nib {
namespace {

constexpr int64_t kSideBySide = 16;  // texts

constexpr const char* kFooter =
    "Each text gives a line. With --best there are as many for each, the best first: the score, a tab, the text. The score "
    "is "
    "log p / n^A, where p is the probability of the n tokens and A the length penalty; 0 prefers short texts.\n\n"
    "Examples:\n"
    "  nib translate reverse.gguf \"stressed\"\n"
    "  nib translate m.gguf --file names.txt --beam 4 --best 2";

struct Options {
    std::string model, file, tokens, cache = "f32";
    std::vector<std::string> texts;
    BeamOptions beam;
    int64_t best = 1;
    bool has_tokens = false, numbered = false;  // whether each line has a score
    BackendOptions backend;
};

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        lines.push_back(text.substr(begin, end - begin));
        if (lines.back().ends_with('\r')) lines.back().pop_back();
        begin = end + 1;
    }
    return lines;
}

// A source ends with the token that ends texts.
std::vector<int32_t> source_of(const Tokenizer& tokenizer, const std::string& text) {
    std::vector<int32_t> ids = tokenizer.encode(text);
    if (ids.empty() || ids.back() != tokenizer.end_token()) ids.push_back(tokenizer.end_token());
    return ids;
}

std::vector<std::vector<int32_t>> sources_of(const Options& o, const LoadedModel& model) {
    if (o.has_tokens) return {parse_token_numbers(o.tokens, model.config().source_tokens())};
    std::vector<std::vector<int32_t>> sources;
    for (const std::string& text : o.texts) {
        sources.push_back(source_of(model.tokenizer(), text));
        if (std::ssize(sources.back()) > model.config().context)
            fail("text %zu has %zu tokens with its end, but the model's context has room for %lld", sources.size(),
                 sources.back().size(), static_cast<long long>(model.config().context));
    }
    return sources;
}

std::string shown(const Options& o, const Tokenizer& tokenizer, const std::vector<Hypothesis>& found) {
    std::string text;
    for (size_t i = 0; i < std::min(found.size(), static_cast<size_t>(o.best)); ++i) {
        if (o.numbered) text += strprintf("%.6f\t", found[i].score);
        text += tokenizer.decode(found[i].ids) + "\n";
    }
    return text;
}

void translate_texts(const Options& o, Backend& backend) {
    const LoadedModel model(model_file(o.model), backend);
    const ModelConfig& config = model.config();
    if (!config.has_encoder())
        fail("%s: translating needs a model with an encoder, and %s has none", model.file().name().c_str(),
             architecture_of(config).title);
    BeamOptions beam = o.beam;
    beam.start = static_cast<int32_t>(config.encoder_decoder.start);
    beam.end = model.tokenizer().end_token();
    if (beam.end < 0) fail("%s: the model has no token that ends a text", model.file().name().c_str());
    const auto sources = sources_of(o, model);
    const int64_t places = std::clamp<int64_t>(std::ssize(sources), 1, kSideBySide);
    Engine engine(backend, config, model.weights(),
                  {.slots = places * beam.beams, .cache_type = float_type(o.cache), .sources = places});
    std::map<size_t, std::string> waiting;  // for those before them
    size_t next = 0;
    translate(engine, sources, beam, [&](size_t source, const std::vector<Hypothesis>& found) {
        waiting[source] = shown(o, model.tokenizer(), found);
        for (auto first = waiting.find(next); first != waiting.end(); first = waiting.find(++next)) {
            print(first->second);
            waiting.erase(first);
        }
    });
}

}  // namespace

void translate_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_argument(app, o->model);
    auto* texts = app.add_option("TEXT", o->texts, "texts to translate");
    auto* file = app.add_option("--file", o->file, "file with a text on each line; - is standard input")
                     ->type_name("FILE")
                     ->excludes(texts);
    auto* tokens = app.add_option("--tokens", o->tokens, "token numbers of a text, as in \"1 2 3\"")
                       ->check(token_list())
                       ->type_name("IDS")
                       ->excludes(texts)
                       ->excludes(file);
    app.add_option("--beam", o->beam.beams, "texts that are kept at each step; 1: greedy")
        ->transform(whole_number())
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--length-penalty", o->beam.length_penalty, "exponent of the length in the score")
        ->transform(real_number())
        ->type_name("A")
        ->capture_default_str();
    auto* best = app.add_option("--best", o->best, "results of each text, with their scores; at most --beam")
                     ->transform(whole_number())
                     ->type_name("N");
    app.add_option("-n,--count", o->beam.count, "tokens at most (default: the model's context)")
        ->transform(whole_number(1))
        ->type_name("N");
    add_cache_option(app, o->cache);
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o, texts, file, tokens, best] {
        if (texts->count() + file->count() + tokens->count() == 0) throw CLI::RequiredError("TEXT, --file or --tokens");
        o->has_tokens = tokens->count() > 0;
        o->numbered = best->count() > 0;
        check_options(o->beam);
        if (o->best < 1 || o->best > o->beam.beams)
            fail_usage("--best is %lld; it must be between 1 and --beam, %lld", static_cast<long long>(o->best),
                       static_cast<long long>(o->beam.beams));
        if (file->count() > 0) o->texts = lines_of(read_input(o->file));
        on_device(o->backend, [&](std::unique_ptr<Backend> backend) { translate_texts(*o, *backend); });
    });
}

}  // namespace nib
