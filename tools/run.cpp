// nib run: generates text.
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "engine_options.h"
#include "infer/generate.h"
#include "input.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "sampling_options.h"
#include "text/token_numbers.h"
#include "text/utf8.h"
#include "texts.h"

namespace nib {
namespace {

constexpr int kMaxSamples = 256;

constexpr const char* kFooter =
    "The prompt is printed, then what the model writes after it. It comes from -p, from a file, or from standard input if "
    "that is a pipe or a file; of a file or standard input a byte order mark and one final line end are dropped. Without a "
    "prompt a character "
    "model begins as if after a line end, if it knows that character, another model after its token for the beginning or "
    "end of a text. A model that has a token for the end of a text, or gets one by --end-token, stops there. A model "
    "without a tokenizer takes its "
    "prompt by --tokens and writes token numbers.\n\n"
    "The model sees as many tokens as its context has (`nib info`), or --context: of a longer prompt the end. What happens "
    "when the text grows beyond that, --overflow says.\n\n"
    "The order of the filters is: repetition penalty, temperature, top-k, top-p, min-p. On a terminal, speed and memory "
    "are shown at the end.\n\n"
    "Examples:\n"
    "  nib run shakespeare.gguf -p \"ROMEO:\" -n 300 --temp 0.8 --top-k 40 --top-p 0.95 --seed 1\n"
    "  nib run gpt2.gguf -p \"Once upon a time\" -n 200\n"
    "  nib run fables.gguf -p \"THE FOX AND\" --samples 3 --stop \"THE END\"\n"
    "  echo \"Once upon a time\" | nib run fables.gguf --temp 0";

constexpr std::array kOverflows = {"half", "slide", "stop"};  // in the order of Overflow

constexpr size_t kMaxPrompt = size_t{64} << 20;  // bytes

struct Options {
    ModelOptions model;
    std::string prompt, prompt_file, tokens;
    bool has_prompt = false, has_tokens = false, has_seed = false;
    EncodeOptions encode;
    GenerateOptions generate;
    int samples = 1;
    std::optional<std::string> end_token;
    bool ignore_end = false, json = false, no_echo = false;
    std::string overflow = "half";
    CacheOptions cache;
    BackendOptions backend;
};

// Standard input is read once.
const std::string& prompt_text(Options& o) {
    drop_mark(o.prompt);
    if (o.has_prompt) return o.prompt;
    o.has_prompt = true;
    if (o.prompt_file.empty() && !stdin_has_text()) return o.prompt;
    o.prompt = read_input(o.prompt_file.empty() ? "-" : o.prompt_file, kMaxPrompt);
    drop_line_end(o.prompt);
    return o.prompt;
}

void print_json_result(const Options& o, const std::string& backend, const std::string& prompt,
                       const std::vector<std::string>& texts, const GenerateResult& result, double first_seconds) {
    nlohmann::ordered_json json = {
        {"prompt",  prompt                         },
        {"seed",    o.generate.sampler.seed        },
        {"samples", nlohmann::ordered_json::array()}
    };
    for (size_t s = 0; s < texts.size(); ++s)
        json["samples"].push_back({
            {"text",    texts[s]                    },
            {"tokens",  result.samples[s].ids.size()},
            {"ids",     result.samples[s].ids       },
            {"stopped", result.samples[s].stopped   },
            {"full",    result.samples[s].full      }
        });
    json["prompt_tokens"] = result.prompt_tokens;
    json["prompt_tok_s"] = static_cast<double>(result.prompt_tokens) / result.prompt_seconds;
    if (result.decoded_tokens > 0)
        json["decode_tok_s"] = static_cast<double>(result.decoded_tokens) / result.decode_seconds;
    json["backend"] = backend;
    json["first_token_ms"] = first_seconds * 1e3;
    json["peak_memory_bytes"] = static_cast<int64_t>(peak_memory());
    print_json(json);
}

void print_summary(const Options& o, const std::string& backend, const GenerateResult& result, double first_seconds) {
    std::string text = strprintf("prompt %s, %.0f tok/s", counted(result.prompt_tokens, "token").c_str(),
                                 static_cast<double>(result.prompt_tokens) / result.prompt_seconds);
    if (result.decoded_tokens > 0)
        text += strprintf("; decode %s, %.0f tok/s", counted(result.decoded_tokens, "token").c_str(),
                          static_cast<double>(result.decoded_tokens) / result.decode_seconds);
    text += strprintf("; first token after %.1f ms; peak memory %s; %s", first_seconds * 1e3,
                      human_bytes(peak_memory()).c_str(), backend.c_str());
    if (!o.has_seed && o.generate.sampler.temperature > 0)
        text += strprintf("; --seed %llu", static_cast<unsigned long long>(o.generate.sampler.seed));
    std::fprintf(stderr, "[%s]\n", text.c_str());
}

// What is ready before the first token.
struct Writer {
    std::unique_ptr<Backend> backend;
    std::unique_ptr<LoadedModel> model;
    std::vector<int32_t> prompt;
    std::string shown;  // the prompt, without skipped characters
    std::unique_ptr<Engine> engine;
};

Writer prepare(Options& o, std::unique_ptr<Backend> backend) {
    auto model = std::unique_ptr<LoadedModel>(new LoadedModel(open_model(o.model, *backend)));
    refuse_encoder_decoder(*model);
    if (o.end_token) model->set_end_token(*o.end_token);
    const Tokenizer& tokenizer = model->tokenizer();
    std::vector<int32_t> prompt =
        o.has_tokens ? parse_token_numbers(o.tokens, model->config().vocab) : tokenizer.encode(prompt_text(o), o.encode);
    std::string shown = Utf8Streamer().push(tokenizer.decode(prompt));
    if (!o.has_tokens && tokenizer.begins_texts()) prompt.insert(prompt.begin(), tokenizer.first_token());
    if (prompt.empty()) prompt.push_back(tokenizer.first_token());

    auto engine = make_engine(*backend, *model, o.cache, o.samples, std::ssize(prompt) + o.generate.count);
    engine->prepare(std::min(std::ssize(prompt), engine->context()));
    return {std::move(backend), std::move(model), std::move(prompt), std::move(shown), std::move(engine)};
}

void run(Options& o) {
    check_options(o.generate);
    Writer w;
    on_device(o.backend, [&](std::unique_ptr<Backend> backend) { w = prepare(o, std::move(backend)); });
    const Tokenizer& tokenizer = w.model->tokenizer();
    const int64_t context = w.engine->context();
    if (!o.ignore_end) o.generate.ends = {tokenizer.end_token()};
    o.generate.overflow =
        static_cast<Overflow>(std::find(kOverflows.begin(), kOverflows.end(), o.overflow) - kOverflows.begin());
    if (static_cast<int64_t>(w.prompt.size()) > context)
        std::fprintf(stderr, "nib: warning: the prompt has %zu tokens; the model reads the last %lld\n", w.prompt.size(),
                     static_cast<long long>(context));
    const auto samples = static_cast<size_t>(o.samples);
    std::vector<std::string> texts(samples);  // text that is not printed as it comes
    const auto begin = [&](size_t s) {
        if (samples > 1) print(strprintf("%s=== sample %zu of %zu ===\n", s > 0 ? "\n" : "", s + 1, samples));
        if (!o.no_echo) print(w.shown);
    };
    if (!o.json) begin(0);
    double first_seconds = 0;
    // Each token number begins with a blank, which the first one does not need if there is nothing before it.
    const bool after_text = dynamic_cast<const TokenNumbers*>(&tokenizer) == nullptr || (!w.shown.empty() && !o.no_echo);
    std::vector<bool> begun(samples, after_text);
    const auto sink = [&](size_t s, std::string_view text) {
        if (first_seconds == 0) first_seconds = seconds_since_start();
        if (!begun[s]) text.remove_prefix(1);
        begun[s] = true;
        if (s == 0 && !o.json)
            print(text);
        else
            texts[s] += text;
    };
    const GenerateResult result = generate(*w.engine, tokenizer, w.prompt, o.generate, sink);
    if (first_seconds == 0) first_seconds = seconds_since_start();
    if (o.json) return print_json_result(o, w.backend->name(), w.shown, texts, result, first_seconds);
    print("\n");
    for (size_t s = 1; s < samples; ++s) {
        begin(s);
        print(texts[s] + "\n");
    }
    if (std::any_of(result.samples.begin(), result.samples.end(), [](const auto& sample) { return sample.full; }))
        std::fprintf(stderr, "nib: the context of %lld tokens is full\n", static_cast<long long>(context));
    if (o.backend.verbose || stderr_is_terminal()) print_summary(o, w.backend->name(), result, first_seconds);
}

}  // namespace

void run_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    auto* prompt = app.add_option("-p,--prompt", o->prompt, "text to continue")->type_name("TEXT");
    auto* file =
        app.add_option("--prompt-file", o->prompt_file, "file or pipe with the text to continue; - is standard input")
            ->type_name("FILE")
            ->excludes(prompt);
    auto* tokens = app.add_option("--tokens", o->tokens, "token numbers to continue, as in \"1 2 3\", instead of a text")
                       ->check(token_list())
                       ->type_name("IDS")
                       ->excludes(prompt, file);
    app.add_option("-n,--length", o->generate.count, "tokens to write, at most (of a character model: characters)")
        ->transform(whole_number(0, int64_t{1} << 40))
        ->type_name("N")
        ->capture_default_str();
    auto* seed = add_sampling_options(app, o->generate.sampler);
    app.add_option("--samples", o->samples, "how many continuations to write")
        ->transform(whole_number(1, kMaxSamples))
        ->type_name("N")
        ->capture_default_str();
    add_stop_option(app, o->generate.stop);
    auto* end = add_end_token_option(app, o->end_token);
    app.add_flag("--ignore-eos", o->ignore_end, "write on after the model's token for the end of a text")->excludes(end);
    add_special_option(app, o->encode);
    app.add_flag("--skip-unknown", o->encode.skip_unknown,
                 "leave out characters of the prompt that the model does not know");
    app.add_flag("--no-echo", o->no_echo, "do not print the prompt");
    app.add_flag("--json", o->json, "print one JSON object at the end instead of the text as it comes");
    app.add_flag("-v,--verbose", o->backend.verbose, "show speed and memory at the end, also when not on a terminal");
    app.add_option("--overflow", o->overflow,
                   "when the context is full: half drops its oldest half and goes on, slide sees the last context-full at "
                   "each token, all of it evaluated again (slow), stop ends the text")
        ->check(one_of({kOverflows.begin(), kOverflows.end()}))
        ->type_name("HOW")
        ->capture_default_str();
    add_cache_options(app, o->cache, "as many as the prompt and --length need, within the model's context");
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o, prompt, tokens, seed] {
        o->has_prompt = prompt->count() > 0;
        o->has_tokens = tokens->count() > 0;
        o->has_seed = seed->count() > 0;
        choose_seed(*seed, o->generate.sampler);
        run(*o);
    });
}

}  // namespace nib
