// nib chat: a dialogue with a model.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "answer_columns.h"
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
    "With --compare both models answer each message, each in a dialogue of its own, side by side on a terminal of 80 "
    "columns or more, and elsewhere one after the other. Ctrl-C stops both answers. What one of them does not answer, both "
    "forget.\n\n"
    "If standard input is a pipe or a file, only the answers are printed, and the first thing that goes wrong ends the "
    "chat "
    "with exit code 1.\n\n"
    "When the dialogue outgrows the context, its oldest messages are left out with their answers, and a line says "
    "so; the system prompt stays. The same seed and dialogue give the same answer.\n\n"
    "Examples:\n"
    "  nib chat smollm2.gguf --system \"Answer in one sentence.\"\n"
    "  nib chat ppo.gguf --compare sft.gguf\n"
    "  echo \"What is a crow?\" | nib chat smollm2.gguf --temp 0";

struct Options {
    ModelOptions model;
    std::string compared;  // another model; empty: none
    ChatOptions chat;
    std::string system, chat_template;
    CacheOptions cache;
    bool has_seed = false;
    BackendOptions backend;
};

void note(const std::string& text) { std::fprintf(stderr, "nib: %s\n", text.c_str()); }

// Who answers.
struct Partner {
    std::string name;
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<ChatSession> session;

    bool may_lengthen() const { return engine->context() < model->config().context; }
};

// The files' names without their folders, unless these tell them apart.
std::string name_of(const ModelOptions& model, bool folders) {
    const auto short_name = [&](const std::string& path) {
        return printable(folders ? path : std::filesystem::path(path).filename().string());
    };
    std::string name = short_name(model.path);
    for (const AdapterChoice& adapter : model.adapters) name += " + " + short_name(adapter.path);
    return name;
}

Partner open_partner(const ModelOptions& which, const Options& o, Backend& backend) {
    Partner partner{
        name_of(which, false), std::unique_ptr<LoadedModel>(new LoadedModel(open_model(which, backend))), {}, {}};
    const LoadedModel& model = *partner.model;
    refuse_encoder_decoder(model);
    if (dynamic_cast<const TokenNumbers*>(&model.tokenizer()) != nullptr)
        model.file().wrong("the model has no tokenizer, by which texts become tokens");
    partner.engine = make_engine(backend, model, o.cache, 1, kDefaultContext);
    return partner;
}

// --template is for models that do not say; when all of them do, the first one refuses it.
void begin(std::vector<Partner>& partners, const Options& o) {
    const auto says = [](const Partner& partner) { return !partner.model->chat_template().empty(); };
    const bool all_say = std::all_of(partners.begin(), partners.end(), says);
    for (Partner& partner : partners) {
        const LoadedModel& model = *partner.model;
        const std::string chosen = all_say || !says(partner) ? o.chat_template : std::string();
        partner.session =
            std::make_unique<ChatSession>(*partner.engine, model.tokenizer(),
                                          ChatTemplate::choose(model.chat_template(), chosen, model.tokenizer()), o.chat);
        partner.session->set_system(o.system);
    }
}

// The models, ready for the first message: one, or two to compare.
std::vector<Partner> prepare(const Options& o, Backend& backend) {
    std::vector<Partner> partners;
    partners.push_back(open_partner(o.model, o, backend));
    if (!o.compared.empty()) {
        const ModelOptions compared{o.compared, {}};
        partners.push_back(open_partner(compared, o, backend));
        if (partners[0].name == partners[1].name)
            partners[0].name = name_of(o.model, true), partners[1].name = name_of(compared, true);
    }
    return partners;
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
    /// One partner, or two whose answers are compared. All have the same system prompt, and answer the same messages.
    Chat(std::vector<Partner>& partners, const Options& options, const CLI::App& app, bool terminal)
        : partners_(partners), options_(options), app_(app), terminal_(terminal), input_(terminal) {}

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
    bool compares() const { return partners_.size() > 1; }
    ChatSession& first() { return *partners_[0].session; }

    ChatAnswer ask(Partner& partner, const std::string& text, const std::function<void(std::string_view)>& sink) {
        try {
            return partner.session->ask(text, sink);
        } catch (const Error& error) {
            const Error helpful =
                error.remedy() == Remedy::LengthenContext && !partner.may_lengthen() ? Error(error.what()) : error;
            throw compares() ? helpful.within(partner.name) : helpful;
        }
    }

    // The partners' answers as they come; of one who was not asked any more, none.
    void ask_all(const std::string& text, std::vector<ChatAnswer>& answers) {
        std::optional<AnswerColumns> columns;
        if (const auto size = room_for_columns(); size && compares())
            columns.emplace(std::array{partners_[0].name, partners_[1].name}, *size);
        const auto ask_one = [&](size_t i) {
            if (compares() && !columns) print(partners_[i].name + ":\n");
            if (columns) columns->push(i, "");
            answers[i] =
                ask(partners_[i], text, [&](std::string_view piece) { columns ? columns->push(i, piece) : print(piece); });
            if (!columns) print("\n");
        };
        try {
            for (size_t i = 0; i < partners_.size() && (i == 0 || !interrupt_noted()); ++i) ask_one(i);
        } catch (const Error&) {
            if (columns) columns->finish();
            throw;
        }
        if (columns) columns->finish();
    }

    // Whoever has answered forgets the message, too.
    void forget(const std::vector<ChatAnswer>& answers) {
        for (size_t i = 0; i < partners_.size(); ++i)
            if (!answers[i].text.empty()) partners_[i].session->undo();
    }

    void answer(const std::string& text) {
        std::vector<ChatAnswer> answers(partners_.size());
        try {
            ask_all(text, answers);
        } catch (const Error&) {
            forget(answers);
            throw;
        }
        const bool stopped = interrupt_noted();
        for (size_t i = 0; i < partners_.size(); ++i) tell(partners_[i], answers[i], stopped);
        if (std::any_of(answers.begin(), answers.end(), [](const ChatAnswer& answer) { return answer.text.empty(); })) {
            if (compares() || !stopped)
                note(compares() ? "not answered by both; the message is forgotten"
                                : "the model has nothing to say; the message is forgotten");
            forget(answers);
        }
    }

    // What there is to say about an answer.
    void tell(const Partner& partner, const ChatAnswer& answer, bool stopped) {
        const auto note_of = [&](const std::string& text) { note(compares() ? partner.name + ": " + text : text); };
        if (answer.full)
            note_of("the context is full; the answer is cut");
        else if (!answer.ended && !stopped)
            note_of(strprintf("the answer is cut after %lld tokens", static_cast<long long>(options_.chat.length)));
        if (answer.left_out > 0)
            note_of(strprintf("the dialogue is longer than the context; its oldest %zu messages are left out from now on",
                              answer.left_out));
        if (options_.backend.verbose && answer.speed.prompt_tokens > 0) print_speed(options_, answer);
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
            for (Partner& partner : partners_) partner.session->reset();
        } else if (name == "undo") {
            for (Partner& partner : partners_)
                if (!partner.session->undo()) fail("there is nothing to undo");
        } else if (name == "system") {
            set_system(value);
        } else if (name == "temp") {
            need("a number");
            set_temperature(value);
        } else if (name == "save") {
            need("the name of a file");
            need_one(name);
            save_dialogue(value, first().messages());
        } else if (name == "load") {
            need("the name of a file");
            need_one(name);
            load(value);
        } else {
            fail("there is no command /%s (see /help); // begins a message with a /", printable(name, 40).c_str());
        }
        return true;
    }

    void need_one(const std::string& name) const {
        if (compares()) fail("/%s is for one dialogue; with --compare there are two", name.c_str());
    }

    // For all, or for none.
    void set_system(const std::string& text) {
        const std::vector<ChatMessage>& messages = first().messages();
        const std::string before = !messages.empty() && messages[0].role == "system" ? messages[0].content : "";
        const auto set = [&](const std::string& prompt) {
            for (Partner& partner : partners_) partner.session->set_system(prompt);
        };
        try {
            set(text);
        } catch (const Error&) {
            set(before);
            throw;
        }
    }

    void set_temperature(const std::string& value) {
        double number = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (error != std::errc() || end != value.data() + value.size())
            fail("`%s` is not a number", printable(value, 40).c_str());
        try {
            for (Partner& partner : partners_) partner.session->set_temperature(number);
        } catch (const Error&) {
            fail("`%s` is no temperature; it must be a number from 0 up", printable(value, 40).c_str());
        }
    }

    void load(const std::string& path) {
        std::vector<ChatMessage> messages = load_dialogue(path, first().chat_template().name() == "alpaca");
        try {
            first().set_messages(std::move(messages));
        } catch (const Error& error) {
            throw error.within(printable(path));
        }
        if (terminal_) note(strprintf("%zu messages", first().messages().size()));
    }

    std::vector<Partner>& partners_;
    const Options& options_;
    const CLI::App& app_;
    const bool terminal_;
    ChatInput input_;
};

void run(const Options& o, const CLI::App& app) {
    check_options(o.chat.sampler);
    std::unique_ptr<Backend> backend;
    std::vector<Partner> partners;
    on_device(o.backend, [&](std::unique_ptr<Backend> device) {
        partners = prepare(o, *device);
        backend = std::move(device);
    });
    begin(partners, o);
    const bool terminal = isatty(STDIN_FILENO) == 1;
    if (terminal) {
        note_interrupts();
        note("type a message, /help for the commands, Ctrl-D to leave");
    }
    Chat(partners, o, app, terminal).run();
}

}  // namespace

void chat_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    app.add_option("--compare", o->compared, "another model, which answers the same messages beside the first")
        ->type_name("MODEL");
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
