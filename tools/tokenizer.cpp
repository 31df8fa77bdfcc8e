// nib tokenizer: making tokenizers.
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "interrupt.h"
#include "io/atomic_file.h"
#include "io/progress.h"
#include "options.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_training.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "Texts are UTF-8 files of any name, and folders, of which all .txt, .md and .jsonl files are read. A .jsonl file has a "
    "JSON object on each line, whose `text` is a document; other files are one document each. All may be packed with gzip "
    "(.txt.gz). They may be larger than memory, which only has to hold the different words.\n\n"
    "Types:\n"
    "  bpe        byte-pair encoding. With --split gpt2 or llama3 of bytes: all texts\n"
    "             have tokens, and merges are those of Hugging Face's tokenizers.\n"
    "             With --split gpt1 of characters: words end in </w>, what is not in\n"
    "             the alphabet is <unk>, and GPT-1's own was made with --lowercase\n"
    "  wordpiece  BERT's: words end at white space and punctuation, every Chinese\n"
    "             character is a word, and a word without tokens is [UNK]\n"
    "  char       every character of the texts is a token, however many there are\n\n"
    "Without --special, wordpiece has [PAD] [UNK] [CLS] [SEP] [MASK], gpt1 has <unk>, others have no special tokens. Those "
    "that "
    "are given take their place; wordpiece needs [UNK] among them and gpt1 <unk>. They have the first ids, and are found "
    "in a "
    "text before it is cut into words.\n\n"
    "Examples:\n"
    "  nib tokenizer train corpus/ -o tok.json --size 8000\n"
    "  nib tokenizer train a.txt b.jsonl.gz -o tok.json --size 32000 --split llama3 \\\n"
    "      --special '<|endoftext|>'\n"
    "  nib tokenizer train corpus/ -o tok.json --size 10000 --type wordpiece --lowercase\n"
    "  nib tokenize tok.json -p \"Hello world\"";

const std::map<std::string, TokenizerTraining::Type> kTypes = {
    {"bpe",       TokenizerTraining::Type::Bpe      },
    {"wordpiece", TokenizerTraining::Type::WordPiece},
    {"char",      TokenizerTraining::Type::Char     },
};
const std::map<std::string, TokenizerTraining::Split> kSplits = {
    {"gpt2",   TokenizerTraining::Split::Gpt2  },
    {"llama3", TokenizerTraining::Split::Llama3},
    {"gpt1",   TokenizerTraining::Split::Gpt1  },
};

struct Options {
    std::vector<std::string> inputs;
    std::string output, type = "bpe", split = "gpt2";
    bool overwrite = false;
    TokenizerTraining training;
};

// Options that make sense together.
void check(const CLI::App& app, const Options& o) {
    using Type = TokenizerTraining::Type;
    const auto refuse = [&](const char* option, bool applies, const char* where) {
        if (app.count(option) > 0 && !applies) fail_usage("%s works only with %s", option, where);
    };
    const bool characters = o.training.type == Type::Char, bpe = o.training.type == Type::Bpe;
    const bool bytes = bpe && o.training.split != TokenizerTraining::Split::Gpt1;
    refuse("--split", bpe, "--type bpe");
    for (const char* option : {"--size", "--min-frequency", "--max-token-length", "--lowercase"})
        refuse(option, !characters, "--type bpe or wordpiece");
    refuse("--limit-alphabet", !characters && !bytes, "--type wordpiece or --split gpt1: bytes have an alphabet of 256");
    if (!characters && app.count("--size") == 0) fail_usage("--size is required");
}

void check_output(const Options& o, const TextSource& source) {
    std::error_code error;
    const std::string shown = printable(o.output, 400);
    if (std::filesystem::is_directory(o.output, error)) fail("%s: is a folder; give the name of a file", shown.c_str());
    if (std::filesystem::exists(o.output, error) && !o.overwrite)
        fail_with(Remedy::ReplaceOutput, "%s: already exists", shown.c_str());
    for (const std::string& file : source.files())
        if (std::filesystem::equivalent(o.output, file, error))
            fail("%s: is both read and written; choose another name for the output", shown.c_str());
}

void train(const CLI::App& app, Options& o) {
    TokenizerTraining& training = o.training;
    training.type = kTypes.at(o.type);
    training.split = kSplits.at(o.split);
    check(app, o);
    if (app.count("--special") == 0) training.specials = default_specials(training.type, training.split);
    TextSource source(o.inputs);
    check_output(o, source);
    catch_interrupts();
    AtomicFile output(o.output);  // before the work, which would be lost where nothing can be written
    Progress progress(stderr, stderr_is_terminal(), 1);
    const auto tokenizer = train_tokenizer(source, training, [&](const char* stage, uint64_t done, uint64_t total) {
        stop_if_interrupted(o.output);
        const double share = total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
        progress.status(strprintf("%s  %.0f %%", stage, std::floor(100 * share)));
    });
    constexpr int64_t kAnyContext = 0;
    for (const auto& [name, text] : tokenizer_files(*tokenizer, kAnyContext))
        if (name == "tokenizer.json") output.write(std::as_bytes(std::span(text)));
    output.publish();
    std::string line = strprintf("%s: %s, %s of %s, %.1f s", printable(o.output).c_str(), tokenizer->kind(),
                                 counted(tokenizer->vocab_size(), "token").c_str(),
                                 human_bytes(static_cast<double>(source.bytes_read())).c_str(), seconds_since_start());
    if (training.type != TokenizerTraining::Type::Char && tokenizer->vocab_size() < training.size)
        line += strprintf("; no other pair occurs %lld times, so there are fewer than %lld tokens",
                          static_cast<long long>(training.min_frequency), static_cast<long long>(training.size));
    progress.line(line);
}

void add_train(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    TokenizerTraining& training = o->training;
    app.add_option("TEXT", o->inputs, "files and folders of texts, see below")->required();
    app.add_option("-o,--output", o->output, "tokenizer.json to write, under any name")->required()->type_name("FILE");
    const auto number = [&](const char* name, int64_t& value, int64_t least, const char* help) {
        return app.add_option(name, value, help)->transform(whole_number(least, INT32_MAX))->type_name("N");
    };
    number("--size", training.size, 1, "tokens in all, special ones included (required but for --type char)");
    app.add_option("--type", o->type, "bpe, wordpiece or char, see below")
        ->check(one_of({"bpe", "wordpiece", "char"}))
        ->type_name("NAME")
        ->capture_default_str();
    app.add_option("--split", o->split,
                   "how texts are cut into words, between which nothing is merged: gpt2, llama3 or gpt1")
        ->check(one_of({"gpt2", "llama3", "gpt1"}))
        ->type_name("NAME")
        ->capture_default_str();
    app.add_option("--special", training.specials, "a special token, such as <|endoftext|>; for more give it again")
        ->type_name("TEXT")
        ->expected(1)
        ->take_all();
    number("--min-frequency", training.min_frequency, 1, "pairs that occur less often are not merged")
        ->capture_default_str();
    number(
        "--max-token-length", training.max_token_length, 2,
        "tokens of more than two bytes (wordpiece and gpt1: characters) have fewer than this many (default: any number)");
    number("--limit-alphabet", training.limit_alphabet, 1,
           "keep only so many characters, those that occur most often (wordpiece and gpt1; default: all)");
    app.add_flag("--lowercase", training.lowercase,
                 "texts are made lower case first; wordpiece and gpt1 also lose accents then");
    app.add_flag("--overwrite", o->overwrite, "replace what is there under the output's name");
    training.threads = BackendOptions().threads;
    add_threads_option(app, training.threads);
    app.footer(kFooter);
    app.callback([&app, o] { train(app, *o); });
}

}  // namespace

void tokenizer_command(CLI::App& app) {
    app.require_subcommand(1);
    add_train(*app.add_subcommand("train", "make a tokenizer.json of texts"));
    app.footer(
        "`nib tokenizer COMMAND --help` explains a command and its options. `nib tokenize` shows the tokens of a text.");
}

}  // namespace nib
