// nib train: a character model from a text.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/generate.h"
#include "options.h"
#include "train/trainer.h"

namespace nib {
namespace {

constexpr int64_t kSampleTokens = 300;

constexpr const char* kFooter =
    "Files: NAME.gguf is the model (`nib run` takes it), NAME.state.gguf what --resume needs, NAME.best.gguf the model "
    "with\n"
    "the best validation loss so far, NAME.log.jsonl a line per step, NAME.svg the loss curve.\n"
    "Ctrl-C finishes the step, saves and prints the command that resumes; the exit code is then 130 (143 for SIGTERM).\n"
    "Whatever kills a run, even kill -9, the last checkpoint resumes, and a resumed run gives the same weights as one "
    "that\n"
    "was not interrupted. --resume takes all options from the checkpoint; --iters and the options under Reports may be\n"
    "changed, others must be left out or be the same. Steps beyond --decay-iters keep the learning rate --min-lr: give\n"
    "--decay-iters from the start if more steps are to follow.\n"
    "Presets (--preset) set --layers, --heads and --embd: ";

constexpr const char* kExamples =
    "\n\nExamples:\n"
    "  nib train input.txt -o shakespeare.gguf\n"
    "  nib train input.txt -o m.gguf --preset gpt-mini --context 128 --batch 64 --iters 5000 --lr 5e-4 --dropout 0.1\n"
    "  nib train input.txt -o m.gguf --resume --iters 8000";

struct Options {
    TrainRequest request;
    std::string preset;
    BackendOptions backend;
};

// ---- Ctrl-C ----

std::atomic<int> caught_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_signal(int signal) {
    caught_signal = signal;
    constexpr char text[] = "\nstopping: finishing this step and saving (once more ends at once)\n";
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, sizeof text - 1);
}

// Catches SIGINT and SIGTERM once each; the second time they end the process, which leaves the last checkpoint.
class SignalGuard {
public:
    SignalGuard() {
        struct sigaction action = {};
        action.sa_handler = on_signal;
        action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
        sigaction(SIGINT, &action, &interrupt_);
        sigaction(SIGTERM, &action, &terminate_);
    }
    ~SignalGuard() {
        sigaction(SIGINT, &interrupt_, nullptr);
        sigaction(SIGTERM, &terminate_, nullptr);
    }
    SignalGuard(const SignalGuard&) = delete;
    SignalGuard& operator=(const SignalGuard&) = delete;

private:
    struct sigaction interrupt_ = {}, terminate_ = {};
};

// ---- The command that resumes ----

std::string quoted(const std::string& word) {
    const auto plain = [](unsigned char c) {
        return std::isalnum(c) || c >= 0x80 || std::string("_-./,:+=@%").find(static_cast<char>(c)) != std::string::npos;
    };
    if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

// How this program was called.
std::string program() {
    std::ifstream in("/proc/self/cmdline", std::ios::binary);
    std::string name;
    std::getline(in, name, '\0');
    return name.empty() ? "nib" : name;
}

std::string resume_command(const CLI::App& app, const Options& o) {
    std::string command = quoted(program()) + " train";
    for (const std::string& input : o.request.inputs) command += " " + quoted(input);
    if (!o.request.validation.empty()) command += " --val " + quoted(o.request.validation);
    command += " -o " + quoted(o.request.output) + " --resume";
    if (app.count("--threads") > 0) command += " --threads " + std::to_string(o.backend.threads);
    if (app.count("--isa") > 0) command += " --isa " + quoted(o.backend.isa);
    return command;
}

// ---- Running ----

void write_sample(const TrainStep& train, const CharTokenizer& tokenizer, const std::string& prompt, int64_t step) {
    std::vector<int32_t> ids = tokenizer.encode(prompt);
    if (ids.empty()) ids.push_back(std::max(tokenizer.id_of(U'\n'), 0));
    Session session(train.backend(), train.config(), train.weights());
    GenerateOptions options;
    options.count = kSampleTokens;
    options.sampler.seed = 1;
    try {
        print(strprintf("--- sample after step %lld ---\n%s", static_cast<long long>(step), prompt.c_str()));
        generate(session, tokenizer, ids, options, [](size_t, std::string_view text) { print(text); });
        print("\n---\n");
    } catch (const OutputClosed&) {  // nobody reads the samples; the training goes on
    }
}

void report_end(const TrainResult& result, const RunFiles& files) {
    std::string text =
        strprintf("saved %s after step %lld", printable(files.model).c_str(), static_cast<long long>(result.step));
    if (result.end == TrainEnd::StoppedEarly)
        text += " (stopped early: no better validation loss for --patience validations)";
    if (result.val_loss) text += strprintf("; validation loss %.4f", *result.val_loss);
    if (result.best_loss) text += strprintf(", best %.4f in %s", *result.best_loss, printable(files.best).c_str());
    std::fprintf(stderr, "%s\n", text.c_str());
}

// Returns whether the run was interrupted.
bool train(const Options& o) {
    const std::unique_ptr<CpuBackend> backend = make_backend(o.backend);
    TrainSetup setup = prepare_training(o.request, backend->workers());
    const RunFiles files = setup.files;
    const std::string prompt = setup.options.sample_prompt;
    Progress progress(stderr, stderr_is_terminal(), setup.options.log_every);
    const SignalGuard guard;
    TrainHooks hooks;
    hooks.stop = [] { return caught_signal != 0; };
    hooks.sample = [&](const TrainStep& step, const CharTokenizer& characters, int64_t number) {
        write_sample(step, characters, prompt, number);
    };
    Trainer trainer(*backend, std::move(setup), progress, hooks);
    const TrainResult result = trainer.run();
    if (result.end == TrainEnd::NothingToDo) return false;
    report_end(result, files);
    if (result.end == TrainEnd::Interrupted) return true;
    trainer.sample();
    return false;
}

// Sizes of the preset where no size was given; sets which options were given.
void complete_request(const CLI::App& app, Options& o) {
    for (const OptionField& field : option_fields())
        if (app.count(field.flag) > 0) o.request.given.insert(field.flag);
    if (o.preset.empty()) return;
    const Preset& preset = find_preset(o.preset);
    const auto set = [&](const char* flag, int64_t& size, int64_t value) {
        if (o.request.given.insert(flag).second) size = value;
    };
    set("--layers", o.request.options.layers, preset.layers);
    set("--heads", o.request.options.heads, preset.heads);
    set("--embd", o.request.options.embd, preset.embd);
}

void add_field(CLI::App& app, TrainOptions& options, const OptionField& field) {
    const auto add = [&]<class T>(T TrainOptions::*member) {
        if constexpr (std::is_same_v<T, bool>)
            return static_cast<CLI::Option*>(app.add_flag(field.flag, options.*member, field.help));
        auto* option = app.add_option(field.flag, options.*member, field.help);
        const bool computed = std::string(field.help).find("(default:") != std::string::npos;
        if (!computed) option->capture_default_str();
        return option;
    };
    std::visit(add, field.member)->group(field.group);
}

}  // namespace

void train_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    TrainRequest& request = o->request;
    app.add_option("input", request.inputs, "text files (UTF-8) and folders of .txt files")->required()->type_name("TEXT");
    app.add_option("-o,--output", request.output, "model to write: NAME.gguf")->required()->type_name("NAME");
    app.add_option("--val", request.validation, "text that validates, instead of the end of the input")->type_name("FILE");
    app.add_flag("--resume", request.resume, "go on with the training that has left this output");
    app.add_flag("--overwrite", request.overwrite, "replace what another training has left under this name");
    app.add_option("--preset", o->preset, "size by name, see below")->group("Model");
    for (const OptionField& field : option_fields()) add_field(app, request.options, field);
    add_backend_options(app, o->backend);
    std::string names;
    for (const Preset& preset : presets()) names += (names.empty() ? "" : ", ") + std::string(preset.name);
    app.footer(kFooter + names + kExamples);
    app.callback([&app, o] {
        complete_request(app, *o);
        if (!train(*o)) return;
        std::fprintf(stderr, "go on with:\n  %s\n", resume_command(app, *o).c_str());
        std::exit(128 + caught_signal);
    });
}

}  // namespace nib
