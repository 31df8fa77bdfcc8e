// nib train: a model from a text.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/beam.h"
#include "infer/generate.h"
#include "interrupt.h"
#include "options.h"
#include "text/chat_encoding.h"
#include "train/trainer.h"

namespace nib {
namespace {

constexpr int64_t kSampleTokens = 300;

constexpr const char* kFooter =
    "Files: NAME.gguf is the model (`nib run` takes it; with --lora an adapter, for --lora of other commands), "
    "NAME.state.gguf what --resume needs, NAME.best.gguf the model "
    "with the best validation loss so far, NAME.mean.gguf that of --average, NAME.log.jsonl a line per step, NAME.svg the "
    "loss curve, nib-*.tokens the texts "
    "as tokens, which may be removed.\n\n"
    "Ctrl-C finishes the step, saves and prints the command that resumes; the exit code is then 130 (143 for SIGTERM, "
    "129 for SIGHUP). Whatever kills a run, even kill -9, the last checkpoint resumes, and a resumed run gives the same "
    "weights as one that was not interrupted.\n\n"
    "--resume takes all options from the checkpoint; --iters, --recompute and the options under Reports may be changed, "
    "others must be left out or be the same. How it computes is no part of a checkpoint: --device, --threads, --isa and "
    "--activations may be others each time. Steps beyond --decay-iters keep the learning rate --min-lr: give "
    "--decay-iters from the start if more steps are to follow.\n\n"
    "Presets set --layers, --heads and --embd, that of GPT-1 --arch as well, those of GPT-3 --arch and --context: ";

constexpr const char* kExamples =
    "\n\nExamples:\n"
    "  nib train input.txt -o shakespeare.gguf\n"
    "  nib train input.txt -o m.gguf --preset gpt-mini --context 128 --batch 64 --iters 5000 --lr 5e-4 --dropout 0.1\n"
    "  nib train input.txt -o m.gguf --resume --iters 8000\n"
    "  nib train corpus/ -o m.gguf --tokenizer bpe:8000 --arch llama --layers 8 --embd 256\n"
    "  nib train chats.jsonl -o chat.gguf --from smollm2.gguf --lora 16";

struct Options {
    TrainRequest request;
    std::string preset;
    BackendOptions backend;
    std::string activations = "f32";
};

// ---- Ctrl-C ----

std::atomic<int> caught_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_signal(int signal) {
    caught_signal = signal;
    constexpr char text[] = "\nstopping: finishing this step and saving (once more ends at once)\n";
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, sizeof text - 1);
}

// Catches each signal that asks for an end once; the second time it ends the process, which leaves the last checkpoint. An
// ignored SIGHUP stays ignored (nohup), but not an ignored SIGINT: scripts ignore it for `nib ... &`.
class SignalGuard {
public:
    SignalGuard() {
        struct sigaction action = {};
        action.sa_handler = on_signal;
        action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
        for (size_t i = 0; i < kSignals.size(); ++i) {
            sigaction(kSignals[i], nullptr, &before_[i]);
            if (kSignals[i] != SIGHUP || before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
        }
    }
    ~SignalGuard() {
        for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
    }
    SignalGuard(const SignalGuard&) = delete;
    SignalGuard& operator=(const SignalGuard&) = delete;

private:
    static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
    std::array<struct sigaction, kSignals.size()> before_ = {};
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
    if (!o.request.target.empty()) command += " --target " + quoted(o.request.target);
    if (!o.request.validation.empty()) command += " --val " + quoted(o.request.validation);
    if (!o.request.validation_target.empty()) command += " --val-target " + quoted(o.request.validation_target);
    command += " -o " + quoted(o.request.output) + " --resume";
    if (app.count("--device") > 0) command += " --device " + o.backend.device;
    if (app.count("--threads") > 0) command += " --threads " + std::to_string(o.backend.threads);
    if (app.count("--isa") > 0) command += " --isa " + quoted(o.backend.isa);
    if (app.count("--activations") > 0) command += " --activations " + o.activations;
    return command;
}

// ---- Running ----

// Of a prompt, if there is one.
void write_translation(Engine& engine, const ModelConfig& config, const Tokenizer& reads, const Tokenizer& writes,
                       const std::string& prompt, int64_t step) {
    if (prompt.empty()) return;
    const std::vector<int32_t> ids = reads.encode_marked(prompt).ids;
    const BeamOptions greedy{.start = static_cast<int32_t>(config.encoder_decoder.start), .end = writes.end_token()};
    translate(engine, {&ids, 1}, greedy, [&](size_t, const std::vector<Hypothesis>& found) {
        print(strprintf("--- sample after step %lld ---\n%s\n---\n", static_cast<long long>(step),
                        text_of(found.at(0), writes).c_str()));
    });
}

// What a sample begins with.
struct Prompt {
    std::string text;
    std::string chat_template;  // by which it is a message; empty: it is a text

    std::vector<int32_t> ids(const Tokenizer& tokenizer) const {
        if (chat_template.empty()) return tokenizer.encode(text);
        const std::vector<ChatMessage> messages = {
            {"user", text}
        };
        const ChatTemplate chat = ChatTemplate::recognize(chat_template, tokenizer);
        return encode_chat(tokenizer, chat, messages, {.add_generation_prompt = true}).ids;
    }
};

Prompt prompt_of(const TrainSetup& setup) {
    const bool dialogues = setup.options.task == kDialogues;
    return {setup.options.sample_prompt, dialogues ? setup.info.chat_template : ""};
}

void write_sample(const TrainStep& train, const Tokenizer& tokenizer, const Tokenizer& writes, const Prompt& prompt,
                  int64_t step) {
    if (prompt.text.empty() && !prompt.chat_template.empty()) return;  // nothing was said to answer
    std::vector<int32_t> ids = prompt.ids(tokenizer);
    const ModelConfig& config = train.config();
    if (ids.empty() && !config.has_encoder()) ids.push_back(tokenizer.first_token());
    const int64_t needed = config.has_encoder() ? config.context : std::ssize(ids) + kSampleTokens;
    Engine engine(train.backend(), config, train.weights(), {.context = std::min(config.context, needed)});
    if (config.has_encoder()) return write_translation(engine, config, tokenizer, writes, prompt.text, step);
    GenerateOptions options;
    options.count = kSampleTokens;
    options.sampler.seed = 1;
    print(strprintf("--- sample after step %lld ---\n%s", static_cast<long long>(step), prompt.text.c_str()));
    if (!prompt.chat_template.empty()) print("\n> ");
    generate(engine, tokenizer, ids, options, [](size_t, std::string_view text) { print(text); });
    print("\n---\n");
}

void report_end(const TrainResult& result, const RunFiles& files, Progress& progress) {
    std::string text =
        strprintf("saved %s after step %lld", printable(files.model).c_str(), static_cast<long long>(result.step));
    if (result.end == TrainEnd::StoppedEarly) text += " (stopped early: none better for --patience validations)";
    if (result.val_loss) text += strprintf("; validation loss %.4f", *result.val_loss);
    for (size_t i = 0; i < result.scores.size(); ++i)
        text += strprintf("%s %s %.4f", i > 0 || result.val_loss ? "," : ";", result.scores[i].name.c_str(),
                          result.scores[i].value);
    if (result.best)
        text += strprintf("; best %s%.4f in %s",
                          result.best_of.empty() || result.best_of == "loss" ? "" : (result.best_of + " ").c_str(),
                          *result.best, printable(files.best).c_str());
    progress.line(text);
}

struct Run {
    std::unique_ptr<Backend> backend;
    const RunFiles files;
    Progress progress;
    Trainer trainer;
    Run(std::unique_ptr<Backend> device, TrainSetup setup, TrainHooks hooks)
        : backend(std::move(device)),
          files(setup.files),
          progress(stderr, stderr_is_terminal(), setup.options.log_every),
          trainer(*backend, std::move(setup), progress, std::move(hooks)) {}
};

// Tells how far texts have become tokens. Until the training begins, Ctrl-C leaves nothing.
TrainSetup prepare(const Options& o, Backend& backend) {
    Progress progress(stderr, stderr_is_terminal(), 1);
    TrainRequest request = o.request;
    request.progress = [&](const char* stage, uint64_t done, uint64_t total) {
        stop_if_interrupted(request.output);
        const double share = total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
        progress.status(strprintf("%s  %.0f %%", stage, std::floor(100 * share)));
    };
    request.note = [&](const std::string& text) { progress.line(text); };
    catch_interrupts();
    TrainSetup setup = prepare_training(request, backend);
    stop_if_interrupted(request.output);
    release_interrupts();
    progress.clear();
    return setup;
}

// Returns whether the run was interrupted.
bool train(const Options& o) {
    Prompt prompt;
    TrainHooks hooks;
    hooks.stop = [] { return caught_signal != 0; };
    hooks.sample = [&](const TrainStep& step, const Tokenizer& reads, const Tokenizer& writes, int64_t number) {
        try {
            write_sample(step, reads, writes, prompt, number);
        } catch (const OutputClosed&) {  // nobody reads the samples; the training goes on
        } catch (const Error& error) {   // the disk of a redirected output is full, for example
            std::fprintf(stderr, "nib: no sample after step %lld: %s\n", static_cast<long long>(number), error.what());
        }
    };
    std::optional<SignalGuard> guard;
    std::unique_ptr<Run> run;
    on_device(o.backend, [&](std::unique_ptr<Backend> backend) {
        TrainSetup setup = prepare(o, *backend);
        prompt = prompt_of(setup);
        guard.emplace();
        run = std::make_unique<Run>(std::move(backend), std::move(setup), hooks);
    });
    const TrainResult result = run->trainer.run();
    guard.reset();  // everything is saved: from here on, a signal just ends the process
    if (result.end == TrainEnd::NothingToDo) return false;
    report_end(result, run->files, run->progress);
    if (result.end == TrainEnd::Interrupted) return true;
    if (caught_signal == 0) run->trainer.sample();
    return false;
}

std::string flag_of(const OptionField& field) { return std::string("--") + field.name; }

// Records which options were given, and takes the other sizes from the preset.
void complete_request(const CLI::App& app, Options& o) {
    for (const OptionField& field : option_fields())
        if (app.count(flag_of(field)) > 0) o.request.given.insert(field.name);
    if (o.preset.empty()) return;
    take_preset(find_preset(o.preset), o.request.options, o.request.given);
}

void add_field(CLI::App& app, TrainOptions& options, const OptionField& field) {
    const auto add = [&]<class T>(T TrainOptions::*member) {
        if constexpr (std::is_same_v<T, bool>)
            return static_cast<CLI::Option*>(app.add_flag(flag_of(field), options.*member, field.help));
        CLI::Option* option = app.add_option(flag_of(field), options.*member, field.help)->type_name("NAME");
        if constexpr (std::is_same_v<T, int64_t>) option->type_name("N")->transform(whole_number());
        if constexpr (std::is_same_v<T, double>) option->type_name("X")->transform(real_number());
        if (std::string_view(field.name).ends_with("prompt")) option->type_name("TEXT");
        if (std::string_view(field.name) == "tensorboard") option->type_name("DIR");
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
    app.add_option(
           "TEXT", request.inputs,
           "texts (UTF-8) in .txt, .md and .jsonl, each also packed (.gz), and folders of them; dialogues in .jsonl "
           "and .json")
        ->required();
    app.add_option("-o,--output", request.output, "model to write: NAME.gguf")->required()->type_name("NAME");
    app.add_option("--from", request.from, "model to start from, instead of random weights: its sizes, its tokenizer")
        ->type_name("MODEL");
    app.add_option("--val", request.validation, "text that validates, instead of the end of the input")->type_name("FILE");
    app.add_option("--target", request.target,
                   "of translation, where the text is one file and no table: its translation, line by line")
        ->type_name("FILE");
    app.add_option("--val-target", request.validation_target, "likewise the translation of --val")->type_name("FILE");
    app.add_flag("--resume", request.resume, "go on with the training that has left this output");
    app.add_flag("--overwrite", request.overwrite, "replace what another training has left under this name");
    app.add_option("--preset", o->preset, "size by name, see below")->type_name("NAME")->group("Model");
    for (const OptionField& field : option_fields()) add_field(app, request.options, field);
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    add_activations_option(app, o->activations);
    std::string names;
    for (const Preset& preset : presets()) names += (names.empty() ? "" : ", ") + std::string(preset.name);
    app.footer(kFooter + names + kExamples);
    app.callback([&app, o] {
        complete_request(app, *o);
        o->request.activations = float_type(o->activations);
        o->request.threads = o->backend.threads;
        if (!o->request.from.empty()) o->request.from = model_file(o->request.from);
        if (!train(*o)) return;
        std::fprintf(stderr, "go on with:\n  %s\n", resume_command(app, *o).c_str());
        std::exit(128 + caught_signal);
    });
}

}  // namespace nib
