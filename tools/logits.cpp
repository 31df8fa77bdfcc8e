// nib logits: the logits of some tokens, for comparison with other programs.
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

namespace nib {
namespace {

constexpr size_t kRows = 128;  // rows with logits in memory at a time

constexpr const char* kFooter =
    "The file is NumPy's (.npy): float32 of shape (T,V), in row t the logits after token t. A model with an encoder reads "
    "--source first; the tokens are what its decoder reads, with the one that it starts with.\n\n"
    "Examples:\n"
    "  nib logits shakespeare.gguf --tokens \"1 2 3\" -o logits.npy\n"
    "  nib logits shakespeare.gguf --prompt \"ROMEO:\" -o logits.npy";

struct Options {
    ModelOptions model;
    std::string tokens, prompt, source, out;
    bool has_tokens = false;
    EncodeOptions encode{.begin = true};
    BackendOptions backend;
};

void logits(const Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    if (std::error_code error; std::filesystem::equivalent(o.out, model.file().name(), error))
        fail("--output %s is the model itself; choose another file", printable(o.out).c_str());
    if (model.config().has_encoder() == o.source.empty())
        fail_usage(model.config().has_encoder() ? "the model reads a text before it writes another: give it with --source"
                                                : "--source is for models with an encoder");
    const int64_t V = model.config().vocab, context = model.config().context;
    const std::vector<int32_t> ids =
        o.has_tokens ? parse_token_numbers(o.tokens, V) : model.target_tokenizer().encode(o.prompt, o.encode);
    const auto T = static_cast<int64_t>(ids.size());
    if (T == 0) (o.has_tokens ? fail_usage : fail)("there are no tokens; name one at least");
    if (T > context)
        fail("there are %lld tokens, but the model's context has room for %lld; leave some out", static_cast<long long>(T),
             static_cast<long long>(context));
    AtomicFile file(o.out);
    const int64_t shape[] = {T, V};
    const std::string header = npy_header(shape);
    file.write(std::as_bytes(std::span(header)));
    Engine engine(backend, model.config(), model.weights(), {.logit_rows = kRows});
    if (!o.source.empty()) engine.encode(0, parse_token_numbers(o.source, model.config().source_tokens()));
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
    app.add_option("--source", o->source, "token numbers of the text that an encoder reads")
        ->check(token_list())
        ->type_name("IDS");
    app.add_option("-o,--output", o->out, "file to write")->required()->type_name("FILE");
    add_special_option(app, o->encode);
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o, tokens, prompt] {
        o->has_tokens = tokens->count() > 0;
        drop_mark(o->prompt);
        if (!o->has_tokens && prompt->count() == 0) throw CLI::RequiredError("--tokens or --prompt");
        on_device(o->backend, [&](std::unique_ptr<Backend> backend) { logits(*o, *backend); });
    });
}

}  // namespace nib
