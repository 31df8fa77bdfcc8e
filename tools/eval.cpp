// nib eval: how well a model predicts a text.
#include <cmath>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/evaluate.h"
#include "model/loaded_model.h"
#include "options.h"
#include "train/corpus.h"
#include "train/memory.h"
#include "train/progress.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "The text is cut into windows of the model's context, end to end; in each window every character is predicted from "
    "those before it, so every character but the first counts once. Loss is the mean cross-entropy in nats; perplexity is "
    "exp(loss) and bits per character loss / ln 2.\n\n"
    "Examples:\n"
    "  nib eval shakespeare.gguf input.txt\n"
    "  nib eval shakespeare.gguf input.txt --val-fraction 0.1     # what nib train keeps for validation\n"
    "  nib eval shakespeare.gguf texts/ more.txt --json";

struct Options {
    std::string model;
    std::vector<std::string> paths;
    double val_fraction = 0;
    int64_t batch = 0;
    bool json = false;
    BackendOptions backend;
};

const CharTokenizer& characters_of(const LoadedModel& model) {
    const auto* characters = dynamic_cast<const CharTokenizer*>(&model.tokenizer());
    if (characters == nullptr)
        fail("%s: tokenizer `%s` is not supported here; nib eval measures character models", model.file().name().c_str(),
             model.tokenizer().kind());
    return *characters;
}

// The characters that count, and the one before them.
Span measured(const Corpus& corpus, double val_fraction) {
    const Span span{val_fraction > 0 ? validation_start(corpus.size(), val_fraction) : 0, corpus.size()};
    if (span.size() < 2)
        fail("%lld of %lld characters are too few to measure; it takes two to predict the second from the first%s",
             static_cast<long long>(span.size()), static_cast<long long>(corpus.size()),
             val_fraction > 0 ? "; use a larger --val-fraction" : "");
    return span;
}

void eval(const Options& o) {
    if (!(o.val_fraction >= 0 && o.val_fraction < 1))
        fail("--val-fraction is %g; it must be at least 0 and below 1", o.val_fraction);
    const std::unique_ptr<CpuBackend> backend = make_backend(o.backend);
    const LoadedModel model(model_file(o.model), *backend);
    const CharTokenizer& tokenizer = characters_of(model);
    const Corpus corpus(o.paths);
    corpus.require_known(tokenizer);
    const Span span = measured(corpus, o.val_fraction);
    Evaluator evaluator(*backend, model.config(), model.weights(), span.size(), o.batch, memory_limit());
    const double start = seconds_since_start();
    Progress progress(stderr, stderr_is_terminal(), 1);
    const auto speed = [&](const Evaluation& e) { return static_cast<double>(e.tokens) / (seconds_since_start() - start); };
    const Evaluation result =
        evaluator.run([&](int64_t begin, std::span<int32_t> ids) { corpus.read(span.begin + begin, ids, tokenizer); },
                      [&](const Evaluation& e) {
                          const auto all = static_cast<double>(span.size() - 1), done = static_cast<double>(e.tokens);
                          progress.status(strprintf("%.0f %%  loss %.4f  %.0f tok/s  %s left", 100 * done / all, e.loss(),
                                                    speed(e), clock_text((all - done) / speed(e)).c_str()));
                      });
    progress.clear();
    const double loss = result.loss();
    if (!std::isfinite(loss))
        fail("%s: the loss is not a number; the weights are damaged or the training diverged", model.file().name().c_str());
    const double bits = loss / std::numbers::ln2;
    if (o.json)
        return print_json({
            {"loss",          loss             },
            {"perplexity",    std::exp(loss)   },
            {"bits_per_char", bits             },
            {"accuracy",      result.accuracy()},
            {"characters",    result.tokens    },
            {"tok_s",         speed(result)    }
        });
    print(strprintf(
        "loss                     %.4f\n"
        "perplexity               %.4f\n"
        "bits per character       %.4f\n"
        "next-character accuracy  %.2f %%\n"
        "characters               %lld (%.0f tok/s)\n",
        loss, std::exp(loss), bits, 100 * result.accuracy(), static_cast<long long>(result.tokens), speed(result)));
}

}  // namespace

void eval_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_argument(app, o->model);
    app.add_option("TEXT", o->paths, "text files (UTF-8) and folders of .txt files")->required();
    app.add_option("--val-fraction", o->val_fraction,
                   "measure only the last part of the text: 0.1 is its last tenth; 0: all")
        ->transform(real_number())
        ->type_name("X")
        ->capture_default_str();
    app.add_option("--batch", o->batch, "windows evaluated together; 0: chosen")
        ->transform(whole_number(0, int64_t{1} << 20))
        ->type_name("N")
        ->capture_default_str();
    app.add_flag("--json", o->json, "print one JSON object");
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o] { eval(*o); });
}

}  // namespace nib
