// nib chat: a dialogue with a model.
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "chat_input.h"
#include "command.h"
#include "console.h"
#include "core/error.h"
#include "engine_options.h"
#include "infer/chat_session.h"
#include "interrupt.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "sampling_options.h"
#include "task/saved_dialogue.h"
#include "text/python_text.h"
#include "text/token_numbers.h"
#include "texts.h"
#include "usage.h"

namespace nib {
namespace {

constexpr int64_t kDefaultContext = 4096;  // a model's own may take gigabytes

constexpr const char* kCommands =
    "  /reset          forget the dialogue; the system prompt stays\n"
    "  /undo           forget the last message and its answer\n"
    "  /system TEXT    change the system prompt; no TEXT: none, or the template's own\n"
    "  /temp X         change the temperature\n"
    "  /save FILE      save the dialogue as JSON, which nib train also takes\n"
    "  /load FILE      go on with a dialogue from a file\n"
    "  /help           show this\n"
    "  /exit           leave; so does Ctrl-D\n";

constexpr const char* kMessages =
    "Each line is a message to the model. A line that ends with \\ goes on in the next one, and lines from \"\"\" to "
    "\"\"\" "
    "are one message. A line that begins with / is a command (// for a message that begins with /):\n\n";

constexpr const char* kKeys =
    "\nLines can be edited: the arrow keys move within a line and to those before it, Ctrl-R searches them, Ctrl-C drops a "
    "line, Ctrl-D leaves.\n";

constexpr const char* kAfterCommands =
    "\nOn a terminal, lines are edited by libedit where it is installed (Debian: libedit2): arrow keys, a history of the "
    "chat, Ctrl-R to search it. Without it, and with TERM=dumb, the terminal's own few keys work.\n\n"
    "Ctrl-C drops what is typed, or stops an answer, and what that has so far counts; at the prompt, a second one "
    "leaves.\n\n"
    "If standard input is a pipe or a file, only the answers are printed, and the first thing that goes wrong ends the "
    "chat "
    "with exit code 1.\n\n"
    "When the dialogue outgrows the context, its oldest messages are left out with their answers, and a line says "
    "so; the system prompt stays. The same seed and dialogue give the same answer.\n\n"
    "Examples:\n"
    "  nib chat smollm2.gguf --system \"Answer in one sentence.\"\n"
    "  echo \"What is a crow?\" | nib chat smollm2.gguf --temp 0";

struct Options {
    ModelOptions model;
    ChatOptions chat;
    std::string system, chat_template;
    CacheOptions cache;
    bool has_seed = false;
    BackendOptions backend;
};

void note(const std::string& text) { std::fprintf(stderr, "nib: %s\n", text.c_str()); }

// What is ready before the first message.
struct Partner {
    std::unique_ptr<Backend> backend;
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<Engine> engine;
};

Partner prepare(const Options& o, std::unique_ptr<Backend> backend) {
    auto model = std::unique_ptr<LoadedModel>(new LoadedModel(open_model(o.model, *backend)));
    refuse_encoder_decoder(*model);
    if (dynamic_cast<const TokenNumbers*>(&model->tokenizer()) != nullptr)
        model->file().wrong("the model has no tokenizer, by which texts become tokens");
    auto engine = make_engine(*backend, *model, o.cache, 1, kDefaultContext);
    return {std::move(backend), std::move(model), std::move(engine)};
}

void print_speed(const Options& o, const ChatAnswer& answer) {
    const GenerateResult& r = answer.speed;
    std::string text =
        strprintf("prompt %s (%lld more cached), %.0f tok/s", counted(r.prompt_tokens, "token").c_str(),
                  static_cast<long long>(answer.cached), static_cast<double>(r.prompt_tokens) / r.prompt_seconds);
    if (r.decoded_tokens > 0)
        text += strprintf("; decode %s, %.0f tok/s", counted(r.decoded_tokens, "token").c_str(),
                          static_cast<double>(r.decoded_tokens) / r.decode_seconds);
    if (!o.has_seed) text += strprintf("; --seed %llu", static_cast<unsigned long long>(o.chat.sampler.seed));
    std::fprintf(stderr, "[%s]\n", text.c_str());
}

class Chat {
public:
    /// `may_lengthen`: the model has a longer context.
    Chat(ChatSession& session, const Options& options, const CLI::App& app, bool terminal, bool may_lengthen)
        : session_(session),
          options_(options),
          app_(app),
          terminal_(terminal),
          may_lengthen_(may_lengthen),
          input_(terminal) {}

    void run() {
        for (bool leaving = false;;) {
            const auto go_on = [&] {
                const ChatTurn turn = input_.next();
                if (turn.kind == ChatTurn::Kind::Interrupted) {
                    std::fputs(leaving ? "\n" : "\n(Ctrl-C again or Ctrl-D leaves)\n", stderr);
                    return !std::exchange(leaving, true);
                }
                leaving = false;
                if (turn.kind == ChatTurn::Kind::Dropped) return std::fputs("\n", stderr) >= 0;
                if (turn.kind == ChatTurn::Kind::End && terminal_) std::fputs("\n", stderr);
                if (turn.kind == ChatTurn::Kind::End) return false;
                if (turn.kind == ChatTurn::Kind::Command) return obey(turn.text);
                answer(turn.text);
                return true;
            };
            try {
                if (!go_on()) return;
            } catch (const Error& error) {
                if (!terminal_) throw;
                note("error: " + advised(error, app_));
            }
        }
    }

private:
    ChatAnswer ask(const std::string& text) {
        try {
            return session_.ask(text, [](std::string_view piece) { print(piece); });
        } catch (const Error& error) {
            if (error.remedy() == Remedy::LengthenContext && !may_lengthen_) throw Error(error.what());
            throw;
        }
    }

    void answer(const std::string& text) {
        const ChatAnswer answer = ask(text);
        print("\n");
        const bool stopped = interrupt_noted();
        if (answer.text.empty() && !stopped) note("the model has nothing to say; the message is forgotten");
        if (answer.full)
            note("the context is full; the answer is cut");
        else if (!answer.ended && !stopped)
            note(strprintf("the answer is cut after %lld tokens", static_cast<long long>(options_.chat.length)));
        if (answer.left_out > 0)
            note(strprintf("the dialogue is longer than the context; its oldest %zu messages are left out from now on",
                           answer.left_out));
        if (options_.backend.verbose) print_speed(options_, answer);
    }

    // Carries out a command; false for the one that leaves.
    bool obey(const std::string& command) {
        const std::string name = command.substr(0, command.find_first_of(" \t"));
        const std::string value(python_strip(std::string_view(command).substr(name.size())));
        const auto need = [&](const char* what) {
            if (value.empty()) fail("/%s needs %s", name.c_str(), what);
        };
        if (name == "exit") return false;
        if (name == "help") {
            std::fputs(paragraphs(std::string(kMessages) + kCommands + (input_.edits() ? kKeys : "")).c_str(), stderr);
        } else if (name == "reset") {
            session_.reset();
        } else if (name == "undo") {
            if (!session_.undo()) fail("there is nothing to undo");
        } else if (name == "system") {
            session_.set_system(value);
        } else if (name == "temp") {
            need("a number");
            set_temperature(value);
        } else if (name == "save") {
            need("the name of a file");
            save_dialogue(value, session_.messages());
        } else if (name == "load") {
            need("the name of a file");
            load(value);
        } else {
            fail("there is no command /%s (see /help); // begins a message with a /", printable(name, 40).c_str());
        }
        return true;
    }

    void set_temperature(const std::string& value) {
        double number = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (error != std::errc() || end != value.data() + value.size())
            fail("`%s` is not a number", printable(value, 40).c_str());
        try {
            session_.set_temperature(number);
        } catch (const Error&) {
            fail("`%s` is no temperature; it must be a number from 0 up", printable(value, 40).c_str());
        }
    }

    void load(const std::string& path) {
        std::vector<ChatMessage> messages = load_dialogue(path, session_.chat_template().name() == "alpaca");
        try {
            session_.set_messages(std::move(messages));
        } catch (const Error& error) {
            throw error.within(printable(path));
        }
        if (terminal_) note(strprintf("%zu messages", session_.messages().size()));
    }

    ChatSession& session_;
    const Options& options_;
    const CLI::App& app_;
    const bool terminal_, may_lengthen_;
    ChatInput input_;
};

void run(const Options& o, const CLI::App& app) {
    check_options(o.chat.sampler);
    Partner partner;
    on_device(o.backend, [&](std::unique_ptr<Backend> backend) { partner = prepare(o, std::move(backend)); });
    const LoadedModel& model = *partner.model;
    ChatSession session(*partner.engine, model.tokenizer(),
                        ChatTemplate::choose(model.chat_template(), o.chat_template, model.tokenizer()), o.chat);
    session.set_system(o.system);
    const bool terminal = isatty(STDIN_FILENO) == 1;
    if (terminal) {
        note_interrupts();
        note("type a message, /help for the commands, Ctrl-D to leave");
    }
    Chat(session, o, app, terminal, partner.engine->context() < model.config().context).run();
}

}  // namespace

void chat_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    app.add_option("--system", o->system, "system prompt: what the model is told before the dialogue")->type_name("TEXT");
    app.add_option(
           "--template", o->chat_template,
           "how dialogues are written, for a model that does not say: chatml, llama2, llama3, zephyr, mistral or alpaca")
        ->type_name("NAME");
    app.add_option("-n,--length", o->chat.length, "tokens of an answer, at most")
        ->transform(whole_number(1, int64_t{1} << 40))
        ->type_name("N")
        ->capture_default_str();
    auto* seed = add_sampling_options(app, o->chat.sampler);
    add_stop_option(app, o->chat.stop);
    app.add_flag("-v,--verbose", o->backend.verbose, "show the speed of each answer, and the seed");
    add_cache_options(app, o->cache, strprintf("the model's, but at most %lld", static_cast<long long>(kDefaultContext)));
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(std::string(kMessages) + kCommands + kAfterCommands);
    app.callback([o, seed, &app] {
        o->has_seed = seed->count() > 0;
        choose_seed(*seed, o->chat.sampler);
        o->chat.cancelled = interrupt_noted;
        run(*o, app);
    });
}

}  // namespace nib
