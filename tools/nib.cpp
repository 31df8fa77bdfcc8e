// The nib binary: a table of commands.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iterator>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "usage.h"

#ifndef NIB_VERSION
#define NIB_VERSION "0.1.0"
#endif

namespace nib {
namespace {

struct Command {
    const char* name;
    const char* summary;
    void (*setup)(CLI::App& app);
};

constexpr Command kCommands[] = {
    {"train",     "train a character model on a text",                    train_command    },
    {"log",       "draw how a training goes",                             log_command      },
    {"run",       "let a model write",                                    run_command      },
    {"chat",      "talk to a model",                                      chat_command     },
    {"translate", "let a model with an encoder translate",                translate_command},
    {"eval",      "measure how well a model predicts a text",             eval_command     },
    {"embed",     "make vectors of texts",                                embed_command    },
    {"search",    "find the paragraphs nearest to a question",            search_command   },
    {"fill",      "fill in the masked words of a text",                   fill_command     },
    {"classify",  "tell the classes of texts",                            classify_command },
    {"tag",       "tell the tags of words, such as names",                tag_command      },
    {"answer",    "answer questions about a text",                        answer_command   },
    {"attention", "show which words a model looks at, on a page",         attention_command},
    {"info",      "show what is in a model file",                         info_command     },
    {"logits",    "write a model's logits for some tokens to a file",     logits_command   },
    {"convert",   "make a model file of a Hugging Face or PyTorch model", convert_command  },
    {"quantize",  "store a model file's weights as another type",         quantize_command },
    {"merge",     "add adapters into a model file's weights",             merge_command    },
    {"export",    "write a model as a folder for Hugging Face",           export_command   },
    {"tokenize",  "show the tokens of a text, or the text of tokens",     tokenize_command },
    {"tokenizer", "train a tokenizer on texts",                           tokenizer_command},
    {"bench",     "measure this machine's limits and how near nib comes", bench_command    },
    {"selftest",  "check this machine's kernels against the reference",   selftest_command },
    {"devices",   "list what this machine can compute on",                devices_command  },
};

enum ExitCode { kDone = 0, kFailed = 1, kWrongUsage = 2 };

int report(const std::string& message) {
    std::fflush(stdout);
    std::fprintf(stderr, "nib: error: %s\n", message.c_str());
    return kFailed;
}

// The command that was named, or nib itself.
const CLI::App& named_command(const CLI::App& app) {
    if (app.get_subcommands().empty() || !app.remaining().empty()) return app;
    return named_command(*app.get_subcommands().front());
}

// Prints one line and where to read more.
int report_usage(const CLI::App& command, const std::string& message) {
    std::fflush(stdout);
    std::fprintf(stderr, "nib: error: %s (see `%s --help`)\n", message.c_str(), full_name(command).c_str());
    return kWrongUsage;
}

// Help and version are not errors.
int report_parsing(const CLI::App& app, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
        print(error.get_name() == "CallForVersion" ? std::string(error.what()) + "\n" : app.help());
        return kDone;
    }
    const CLI::App& command = named_command(app);
    return report_usage(command, usage_message(command, error));
}

// The arguments after the program's name, last first as CLI11 takes them. `nib help run` is `nib run --help`, and `nib help
// tokenizer train` is `nib tokenizer train --help`.
std::vector<std::string> arguments(int argc, char** argv) {
    std::vector<std::string> all(argv + 1, argv + argc);
    if (all.front() == "help") {
        all.erase(all.begin());
        all.resize(std::min<size_t>(all.size(), 2));
        all.push_back("--help");
    }
    std::reverse(all.begin(), all.end());
    return all;
}

int run(int argc, char** argv) {
    CLI::App app(
        "nib trains small language models on your own text, converts those of others, and writes with both, on any CPU "
        "and on GPUs.",
        "nib");
    app.formatter(std::make_shared<HelpFormatter>());
    app.set_version_flag("--version", "nib " NIB_VERSION, "show the version and exit");
    app.set_help_flag("-h,--help", "show this help and exit");
    app.require_subcommand(1);
    app.footer(
        "Examples:\n"
        "  nib train input.txt -o model.gguf\n"
        "  nib run model.gguf -p \"Once upon a time\"\n\n"
        "`nib COMMAND --help` explains a command and its options.");
    for (const Command& command : kCommands) command.setup(*app.add_subcommand(command.name, command.summary));
    try {
        if (argc < 2) {
            std::fputs(app.help().c_str(), stderr);
            return kWrongUsage;
        }
        std::vector<std::string> words = arguments(argc, argv);
        const auto named = [&](const Command& command) { return words.back() == command.name; };
        if (!words.back().starts_with('-') && std::none_of(std::begin(kCommands), std::end(kCommands), named))
            throw CLI::ParseError("there is no command `" + printable(words.back(), 40) + "`", kWrongUsage);
        app.parse(words);
        print("");  // flushes what a command has printed on its own
        return kDone;
    } catch (const CLI::ParseError& error) {
        return report_parsing(app, error);
    } catch (const UsageError& error) {
        return report_usage(named_command(app), advised(error, named_command(app)));
    } catch (const Error& error) {
        return report(advised(error, named_command(app)));
    }
}

// A standard stream that the caller has closed must not become the descriptor of a file that nib writes. Each is opened the
// wrong way round, so that using it is still an error.
void occupy_standard_streams() {
    for (int descriptor = 0; descriptor <= 2; ++descriptor)
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY);
}

// The message of a bus error; set before the handler is installed.
std::string_view bus_error_text;

// Files are mapped, so a file that is cut short by someone else, or whose disk fails, shows as a signal where it is read.
// Nothing can be saved from here. Temporary files stay: their names are out of a handler's safe reach, and the next run
// under the same name removes them.
extern "C" void on_bus_error(int signal, siginfo_t* info, void*) {
    if (info->si_code != BUS_ADRERR) {  // not about a file
        std::signal(signal, SIG_DFL);
        std::raise(signal);
        return;
    }
    [[maybe_unused]] const auto written = write(STDERR_FILENO, bus_error_text.data(), bus_error_text.size());
    _exit(kFailed);
}

void catch_bus_errors() {
    constexpr std::string_view kClear = "\r\x1b[K";  // the live line of a terminal
    bus_error_text = "\r\x1b[Knib: error: a file that was being read became shorter, or its disk failed\n";
    if (!stderr_is_terminal()) bus_error_text.remove_prefix(kClear.size());
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, nullptr);
}

}  // namespace
}  // namespace nib

int main(int argc, char** argv) {
    nib::occupy_standard_streams();
    // A closed pipe and a file that may not grow further are errors of the write, reported where it happens.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    nib::catch_bus_errors();
    try {
        return nib::run(argc, argv);
    } catch (const nib::OutputClosed&) {
        return nib::kDone;
    } catch (const std::bad_alloc&) {
        return nib::report("not enough memory; choose a smaller model, batch or context");
    } catch (const std::exception& error) {
        return nib::report(error.what());
    }
}
