// nib logits: the logits of some tokens, for comparison with other programs.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/engine.h"
#include "input.h"
#include "io/atomic_file.h"
#include "io/npy.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "text/token_numbers.h"
#include "texts.h"

namespace nib {
namespace {

constexpr size_t kRows = 128;  // rows with logits in memory at a time

constexpr const char* kFooter =
    "The file is NumPy's (.npy): float32 of shape (T,V), in row t the logits after token t. A model with an encoder reads "
    "--source first, and the tokens are what its decoder reads: with --tokens both are token numbers, with all those that "
    "begin and end them; with --prompt both are text, and the token that the decoder starts with comes first.\n\n"
    "Examples:\n"
    "  nib logits shakespeare.gguf --tokens \"1 2 3\" -o logits.npy\n"
    "  nib logits shakespeare.gguf --prompt \"ROMEO:\" -o logits.npy\n"
    "  nib logits en-de.gguf --source \"It is late.\" --prompt \"Es ist\" -o logits.npy";

struct Options {
    ModelOptions model;
    std::string tokens, prompt, source, out;
    bool has_tokens = false, has_source = false;
    TextOptions text;
    BackendOptions backend;
};

std::vector<int32_t> read_source(const Options& o, const LoadedModel& model) {
    const auto read = o.has_tokens ? parse_text : encode_text;
    return read(o.source, o.text, model, "the source", context_room(model)).ids;
}

std::vector<int32_t> read_prompt(const Options& o, const LoadedModel& model) {
    const ModelConfig& c = model.config();
    std::vector<int32_t> ids =
        o.has_tokens ? parse_token_numbers(o.tokens, c.vocab) : model.target_tokenizer().encode(o.prompt, o.text.encode);
    if (c.has_encoder() && !o.has_tokens) ids.insert(ids.begin(), static_cast<int32_t>(c.encoder_decoder.start));
    if (ids.empty()) (o.has_tokens ? fail_usage : fail)("there are no tokens; name one at least");
    if (std::ssize(ids) > c.context && !o.text.truncate)
        fail("there are %zu tokens, but the model's context has room for %lld; cut them with --truncate", ids.size(),
             static_cast<long long>(c.context));
    ids.resize(std::min(ids.size(), static_cast<size_t>(c.context)));
    return ids;
}

void logits(const Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    if (std::error_code error; std::filesystem::equivalent(o.out, model.file().name(), error))
        fail("--output %s is the model itself; choose another file", printable(o.out).c_str());
    if (model.config().has_encoder() != o.has_source)
        fail_usage(model.config().has_encoder() ? "the model reads a text before it writes another: give it with --source"
                                                : "--source is for models with an encoder");
    const std::vector<int32_t> source = o.has_source ? read_source(o, model) : std::vector<int32_t>();
    const std::vector<int32_t> ids = read_prompt(o, model);
    const int64_t T = std::ssize(ids), V = model.config().vocab;
    AtomicFile file(o.out);
    const int64_t shape[] = {T, V};
    const std::string header = npy_header(shape);
    file.write(std::as_bytes(std::span(header)));
    Engine engine(backend, model.config(), model.weights(), {.logit_rows = kRows});
    if (o.has_source) engine.encode(0, source);
    std::vector<EngineRow> rows;
    for (int64_t t = 0; t < T; ++t) {
        rows.push_back({ids[static_cast<size_t>(t)], 0, t, true});
        if (t + 1 < T && rows.size() < kRows) continue;
        file.write(std::as_bytes(engine.step(rows)));
        rows.clear();
    }
    file.publish();
}

}  // namespace

void logits_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    auto* tokens =
        app.add_option("--tokens", o->tokens, "token numbers, as in \"1 2 3\"")->check(token_list())->type_name("IDS");
    auto* prompt =
        app.add_option("-p,--prompt", o->prompt, "text, instead of --tokens")->type_name("TEXT")->excludes(tokens);
    auto* source = app.add_option("--source", o->source, "what an encoder reads: text or, with --tokens, token numbers")
                       ->type_name("TEXT");
    app.add_option("-o,--output", o->out, "file to write")->required()->type_name("FILE");
    app.add_flag("--truncate", o->text.truncate, "cut what is longer than the model's context (default: an error)");
    add_special_option(app, o->text.encode);
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([=] {
        o->has_tokens = tokens->count() > 0, o->has_source = source->count() > 0;
        drop_mark(o->prompt);
        drop_mark(o->source);
        if (!o->has_tokens && prompt->count() == 0) throw CLI::RequiredError("--tokens or --prompt");
        on_device(o->backend, [&](std::unique_ptr<Backend> backend) { logits(*o, *backend); });
    });
}

}  // namespace nib
