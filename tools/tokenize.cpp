// nib tokenize: the tokens of a text, and back.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "input.h"
#include "io/gguf.h"
#include "model/architecture.h"
#include "options.h"
#include "task/task.h"
#include "text/chosen_tokenizer.h"
#include "text/token_numbers.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "Prints the tokens that the model reads for this text, on one line: with the one that begins a text and, unless the "
    "model "
    "goes on with the text as nib run does, the one that ends it, where there are such. The text comes from -p, from a "
    "file, or from "
    "standard input, and is taken as it is, with its last line end, but without a byte order mark. --decode goes the other "
    "way and writes exactly the "
    "bytes that the tokens stand for.\n\n"
    "Examples:\n"
    "  nib tokenize gpt2.gguf -p \"Hello world\"\n"
    "  nib tokenize gpt2.gguf --file input.txt --json\n"
    "  nib tokenize tok.json -p \"Hello world\"\n"
    "  nib tokenize gpt2.gguf --decode \"15496 995\"";

struct Options {
    std::string model, text, file = "-", tokens;
    bool has_text = false, has_tokens = false, json = false;
    EncodeOptions encode{.begin = true};
};

// The bytes of one token: as text if they are valid UTF-8, else their values.
nlohmann::ordered_json piece(const std::string& bytes) {
    if (find_invalid(bytes) == std::string_view::npos) return bytes;
    return std::vector<uint8_t>(bytes.begin(), bytes.end());
}

// Whether the model in a file goes on with a text, and so does not read the token that ends it.
bool goes_on(const std::string& path) {
    if (!path.ends_with(".gguf")) return false;
    const Architecture* const family = find_architecture(GgufFile::open(path).get<std::string>("general.architecture"));
    const auto masked = [](const HeadTensor& head) { return head.name == std::string_view(kMaskedTokens); };
    return family != nullptr && !family->has_encoder && std::none_of(family->heads.begin(), family->heads.end(), masked);
}

std::vector<int32_t> encode(const Options& o, const std::string& path, const Tokenizer& tokenizer) {
    std::vector<int32_t> ids = tokenizer.encode(o.has_text ? o.text : read_input(o.file), o.encode);
    if (tokenizer.ends_texts() && !goes_on(path)) ids.push_back(tokenizer.end_token());
    return ids;
}

void tokenize(const Options& o) {
    const std::string path = o.model.ends_with(".json") ? o.model : model_file(o.model);
    const std::unique_ptr<Tokenizer> tokenizer = open_tokenizer(path);
    const std::vector<int32_t> ids =
        o.has_tokens ? parse_token_numbers(o.tokens == "-" ? read_input("-") : o.tokens, tokenizer->vocab_size())
                     : encode(o, path, *tokenizer);
    if (o.json) {
        nlohmann::ordered_json json = {
            {"ids",    ids                            },
            {"pieces", nlohmann::ordered_json::array()}
        };
        for (const int32_t id : ids) json["pieces"].push_back(piece(tokenizer->decode(id)));
        return print_json(json);
    }
    print(o.has_tokens ? tokenizer->decode(ids) : token_numbers(ids) + "\n");
}

}  // namespace

void tokenize_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    app.add_option("MODEL", o->model, "model file (GGUF), or a tokenizer.json under any name that ends in .json")
        ->required();
    auto* text = app.add_option("-p,--prompt", o->text, "the text")->type_name("TEXT");
    auto* file = app.add_option("--file", o->file, "file with the text; - is standard input")
                     ->type_name("FILE")
                     ->excludes(text)
                     ->capture_default_str();
    auto* tokens =
        app.add_option("--decode", o->tokens,
                       "write the text of these tokens, as in \"1 2 3\", instead; - reads them from standard input")
            ->check(token_list())
            ->type_name("IDS")
            ->excludes(text, file);
    add_special_option(app, o->encode);
    app.add_flag("--skip-unknown", o->encode.skip_unknown, "leave out characters that the model does not know");
    app.add_flag("--json", o->json,
                 "print one JSON object: ids and pieces (text; bytes where a token is part of a character)");
    app.footer(kFooter);
    app.callback([o, text, tokens] {
        o->has_text = text->count() > 0;
        drop_mark(o->text);
        o->has_tokens = tokens->count() > 0;
        tokenize(*o);
    });
}

}  // namespace nib
