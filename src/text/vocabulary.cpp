#include "text/vocabulary.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "io/json_value.h"
#include "io/mapped_file.h"
#include "text/byte_alphabet.h"
#include "text/char_tokenizer.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_files.h"
#include "text/utf8.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

bool is_character(std::string_view text) {
    return !text.empty() && static_cast<size_t>(decode_utf8(text, 0).length) == text.size();
}

bool is_mark(std::string_view text) {
    return text.size() > 2 && ((text.front() == '<' && text.back() == '>') || (text.front() == '[' && text.back() == ']'));
}

bool in_order(const std::vector<std::string>& tokens) {
    char32_t next = 0;
    for (const std::string& text : tokens) {
        const Decoded first = decode_utf8(text, 0);
        if (!is_character(text) || first.code < next) return false;
        next = first.code + 1;
    }
    return !tokens.empty();
}

TokenSpec token_of(const std::string& text) {
    if (text.empty()) return {"", TokenType::Unused};
    if (text.size() == 1) return {spell_bytes(text), TokenType::Normal};
    return is_mark(text) ? TokenSpec{text, TokenType::Control} : TokenSpec{text, TokenType::UserDefined, true};
}

// The entries of {"token": id, ...} in the order of the ids.
std::vector<std::string> read_list(const JsonValue& list) {
    const size_t size = list.raw().size();
    std::vector<std::string> tokens;
    for (const auto& [text, value] : list.raw().items()) {
        const JsonValue entry(value, list.where() + " \"" + printable(text, 60) + "\"");
        // A list with more gaps than tokens is another kind of file, and an id is no reason to allocate.
        const auto id = static_cast<size_t>(entry.whole_number("a token id", static_cast<int64_t>(2 * size)));
        if (id >= tokens.size()) tokens.resize(id + 1);
        if (text.empty()) fail("%s a token is empty", list.where().c_str());
        if (!tokens[id].empty()) fail("%s is the second token with the id %zu", entry.where().c_str(), id);
        tokens[id] = text;
    }
    if (tokens.empty()) fail("%s the list of tokens is empty", list.where().c_str());
    return tokens;
}

}  // namespace

std::unique_ptr<Tokenizer> character_tokenizer(const std::vector<std::string>& tokens, int32_t begin, int32_t end,
                                               const std::string& where) {
    if (in_order(tokens)) {
        std::vector<char32_t> code_points;
        for (const std::string& text : tokens) code_points.push_back(decode_utf8(text, 0).code);
        return std::make_unique<CharTokenizer>(CharTokenizer::from_code_points(std::move(code_points)));
    }
    TokenizerSpec model;
    model.pre_tokenizers = gpt2_pre_tokenizers();
    model.decoders = byte_level_decoders();
    std::vector<int32_t> marks;
    for (const std::string& text : tokens) {
        model.tokens.push_back(token_of(text));
        if (model.tokens.back().type == TokenType::Control) marks.push_back(static_cast<int32_t>(model.tokens.size()) - 1);
    }
    const int32_t only = marks.size() == 1 ? marks[0] : -1;
    const auto mark = [&](int32_t id) { return std::find(marks.begin(), marks.end(), id) != marks.end() ? id : only; };
    model.specials.begin = mark(begin);
    model.specials.end = mark(end);
    model.specials.add_begin = model.specials.begin >= 0;
    try {
        auto tokenizer = std::make_unique<PipelineTokenizer>(model);
        for (size_t id = 0; id < tokens.size(); ++id)
            if (tokenizer->decode(static_cast<int32_t>(id)) != tokens[id])
                fail("the token `%s` cannot be stored beside others; list single characters only, in the order of Unicode",
                     printable(tokens[id], 40).c_str());
        return tokenizer;
    } catch (const Error& error) {
        fail("%s %s", where.c_str(), error.what());
    }
}

std::unique_ptr<Tokenizer> open_vocabulary(const std::string& path, int32_t begin, int32_t end) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
        if (auto tokenizer = load_tokenizer(path)) return tokenizer;
        fail("%s: the folder holds no tokenizer.json, no vocab.json with merges.txt and no vocab.txt",
             printable(path, 400).c_str());
    }
    if (auto tokenizer = load_tokenizer_file(path)) return tokenizer;
    const MappedFile mapped(path);
    const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
    const std::string file = printable(path, 400);
    const nlohmann::json json = parse_json(text, file);
    const JsonValue root(json, file + ":");
    if (!json.is_object()) root.wrong("an object of tokens and ids");
    if (const auto model = json.find("model"); model != json.end() && model->is_object())
        return parse_tokenizer(
            {
                {"tokenizer.json", text}
        },
            "", path);
    return character_tokenizer(read_list(root), begin, end, root.where());
}

std::unique_ptr<Tokenizer> padded(std::unique_ptr<Tokenizer> tokenizer, int64_t size) {
    if (tokenizer->vocab_size() > size)
        fail("the tokenizer has %d tokens, but the embedding has only %lld rows: they do not belong together",
             tokenizer->vocab_size(), static_cast<long long>(size));
    if (tokenizer->vocab_size() == size) return tokenizer;
    if (const auto* other = dynamic_cast<const PipelineTokenizer*>(tokenizer.get())) {
        TokenizerSpec spec = other->spec();
        spec.tokens.resize(static_cast<size_t>(size), TokenSpec{"", TokenType::Unused});
        return std::make_unique<PipelineTokenizer>(spec);
    }
    std::vector<std::string> tokens;
    for (int32_t id = 0; id < tokenizer->vocab_size(); ++id) tokens.push_back(tokenizer->decode(id));
    tokens.resize(static_cast<size_t>(size));
    return character_tokenizer(tokens, -1, -1, "the character vocabulary:");
}

}  // namespace nib
