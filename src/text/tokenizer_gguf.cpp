#include "text/tokenizer_gguf.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "text/llama_cpp_keys.h"
#include "text/score_merges.h"
#include "text/tokenizer_json.h"
#include "text/unknown_text.h"

namespace nib {
namespace {

using Kind = WordModelSpec::Kind;

constexpr const char* kWholeKey = "tokenizer.huggingface.json";
constexpr const char* kBeginKey = "tokenizer.ggml.bos_token_id";
constexpr const char* kEndKey = "tokenizer.ggml.eos_token_id";
constexpr const char* kUnknownKey = "tokenizer.ggml.unknown_token_id";
constexpr const char* kPaddingKey = "tokenizer.ggml.padding_token_id";
constexpr const char* kClsKey = "tokenizer.ggml.cls_token_id";
constexpr const char* kSepKey = "tokenizer.ggml.seperator_token_id";  // spelled so
constexpr const char* kAddBeginKey = "tokenizer.ggml.add_bos_token";
constexpr const char* kAddEndKey = "tokenizer.ggml.add_eos_token";
constexpr const char* kAddSepKey = "tokenizer.ggml.add_sep_token";
constexpr const char* kAddSpaceKey = "tokenizer.ggml.add_space_prefix";
constexpr const char* kCollapseKey = "tokenizer.ggml.remove_extra_whitespaces";
constexpr const char* kScoresKey = "tokenizer.ggml.scores";
constexpr const char* kLowercaseKey = "tokenizer.ggml.normalizer.lowercase";
constexpr const char* kStripAccentsKey = "tokenizer.ggml.normalizer.strip_accents";

// ---- reading -----------------------------------------------------------------------------------------------------------

// Files from before there was such a key are split as GPT-2 does.
const LlamaCppSplit& read_split(const GgufFile& file) {
    const auto name = file.get_or<std::string>("tokenizer.ggml.pre", "gpt-2");
    if (const LlamaCppSplit* const split = find_llama_cpp_split(name)) return *split;
    fail("%s: the way of splitting text `%s` (tokenizer.ggml.pre) is not supported; nib knows %s", file.name().c_str(),
         printable(name, 40).c_str(), llama_cpp_split_names().c_str());
}

constexpr std::pair<const char*, int32_t SpecialTokens::*> kSpecialKeys[] = {
    {kBeginKey,   &SpecialTokens::begin  },
    {kEndKey,     &SpecialTokens::end    },
    {kUnknownKey, &SpecialTokens::unknown},
    {kPaddingKey, &SpecialTokens::padding},
};

// The id at `key`; `fallback` when there is none.
int32_t read_id(const GgufFile& file, const char* key, int32_t fallback = -1) {
    const auto id = file.get_or<int64_t>(key, fallback);
    if (id == std::numeric_limits<uint32_t>::max()) return -1;
    if (id < -1 || id >= std::numeric_limits<int32_t>::max())
        fail("%s: key `%s`: there is no token %lld", file.name().c_str(), key, static_cast<long long>(id));
    return static_cast<int32_t>(id);
}

SpecialTokens read_specials(const GgufFile& file, bool add_begin) {
    SpecialTokens specials;
    for (const auto& [key, member] : kSpecialKeys) specials.*member = read_id(file, key);
    specials.add_begin = file.get_or<bool>(kAddBeginKey, add_begin && specials.begin >= 0);
    specials.add_end = file.get_or<bool>(kAddEndKey, false);
    return specials;
}

// Without types all tokens are normal but those with a purpose.
std::vector<TokenType> read_types(const GgufFile& file, const SpecialTokens& specials) {
    const auto& texts = file.array<std::string>("tokenizer.ggml.tokens");
    const bool typed = file.value("tokenizer.ggml.token_type") != nullptr;
    const std::vector<int32_t> none;
    const auto& types = typed ? file.array<int32_t>("tokenizer.ggml.token_type") : none;
    if (typed && types.size() != texts.size()) {
        fail("%s: the vocabulary is damaged: %zu tokens, but %zu types of tokens", file.name().c_str(), texts.size(),
             types.size());
    }
    std::vector<TokenType> read(texts.size(), TokenType::Normal);
    for (size_t i = 0; i < types.size(); ++i) {
        const bool known = types[i] >= 1 && types[i] <= static_cast<int32_t>(TokenType::Unused);
        if (known) read[i] = static_cast<TokenType>(types[i]);
    }
    for (const int32_t id : {specials.begin, specials.end, specials.unknown, specials.padding}) {
        const auto i = static_cast<size_t>(id);
        if (!typed && id >= 0 && i < read.size()) read[i] = TokenType::Control;
    }
    return read;
}

std::vector<TokenSpec> read_tokens(const GgufFile& file, const SpecialTokens& specials) {
    const auto& texts = file.array<std::string>("tokenizer.ggml.tokens");
    const std::vector<TokenType> types = read_types(file, specials);
    std::vector<TokenSpec> tokens(texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
        tokens[i].text = texts[i];
        tokens[i].type = types[i];
        tokens[i].normalized = types[i] == TokenType::UserDefined;
    }
    return tokens;
}

std::unique_ptr<Tokenizer> read_bpe(const GgufFile& file) {
    const LlamaCppSplit& split = read_split(file);
    TokenizerSpec spec = llama_cpp_gpt2(split);
    spec.specials = read_specials(file, split.add_begin);
    spec.tokens = read_tokens(file, spec.specials);
    // In files of earlier versions; llama.cpp knows neither.
    if (spec.pre_tokenizers == gpt2_pre_tokenizers())
        spec.pre_tokenizers = gpt2_pre_tokenizers(file.get_or<bool>(kAddSpaceKey, false));
    spec.model.ignore_merges = file.get_or<bool>("nib.tokenizer.ignore_merges", split.ignore_merges);
    return std::make_unique<PipelineTokenizer>(spec, file.array<std::string>("tokenizer.ggml.merges"));
}

// llama.cpp takes the ids of Llama's marks for granted, and that one of them begins texts. Bytes have a type of their own
// there; here their tokens are known by their texts.
std::unique_ptr<Tokenizer> read_sentencepiece(const GgufFile& file) {
    const auto& texts = file.array<std::string>("tokenizer.ggml.tokens");
    const bool bytes =
        std::any_of(texts.begin(), texts.end(), [](const auto& text) { return fallback_byte(text).has_value(); });
    const bool add_prefix = file.get_or<bool>(kAddSpaceKey, true);
    TokenizerSpec spec = llama_cpp_llama(add_prefix, bytes);
    spec.normalizers = sentencepiece_normalizers(add_prefix, file.get_or<bool>(kCollapseKey, false));
    const auto standard = [&](int32_t id) { return static_cast<size_t>(id) < texts.size() ? id : -1; };
    SpecialTokens& to = spec.specials;
    to.begin = read_id(file, kBeginKey, standard(1));
    to.end = read_id(file, kEndKey, standard(2));
    to.unknown = read_id(file, kUnknownKey, standard(0));
    to.padding = read_id(file, kPaddingKey);
    to.add_begin = file.get_or<bool>(kAddBeginKey, to.begin >= 0);
    to.add_end = file.get_or<bool>(kAddEndKey, false);
    spec.tokens = read_tokens(file, to);
    for (TokenSpec& token : spec.tokens) token.normalized = false;
    if (file.value(kScoresKey) != nullptr) spec.scores = file.array<float>(kScoresKey);
    return std::make_unique<PipelineTokenizer>(spec);
}

// llama.cpp takes BERT's token ids for granted, and one of them on each side of a text.
std::unique_ptr<Tokenizer> read_wordpiece(const GgufFile& file) {
    const bool lowercase = file.get_or<bool>(kLowercaseKey, true);
    TokenizerSpec spec = llama_cpp_bert(lowercase, file.get_or<bool>(kStripAccentsKey, lowercase));
    const size_t size = file.array<std::string>("tokenizer.ggml.tokens").size();
    const auto standard = [&](int32_t id) { return static_cast<size_t>(id) < size ? id : -1; };
    SpecialTokens& to = spec.specials;
    to.begin = read_id(file, kBeginKey, read_id(file, kClsKey, standard(101)));
    to.end = read_id(file, kEndKey, read_id(file, kSepKey, standard(102)));
    to.unknown = read_id(file, kUnknownKey, standard(100));
    to.padding = read_id(file, kPaddingKey, standard(0));
    to.add_begin = to.begin >= 0 && file.get_or<bool>(kAddBeginKey, true);
    to.add_end = to.end >= 0 && file.get_or<bool>(kAddSepKey, true);
    spec.tokens = read_tokens(file, to);
    for (TokenSpec& token : spec.tokens) token.text = from_llama_cpp_bert(token.text, token.type);
    return std::make_unique<PipelineTokenizer>(spec);
}

// The whole, with ids without tokens up to what the other keys have.
std::unique_ptr<Tokenizer> read_whole(const GgufFile& file) {
    const std::string where = file.name() + ": " + kWholeKey;
    const auto text = file.get<std::string>(kWholeKey);
    const nlohmann::json json = parse_json(text, where);
    SpecialNames names;
    TokenizerSpec spec = read_tokenizer_json(JsonValue(json, where + ":"), names);
    const size_t size = file.array<std::string>("tokenizer.ggml.tokens").size();
    if (spec.tokens.size() > size)
        fail("%s: there are %zu tokens, but `tokenizer.ggml.tokens` has %zu", where.c_str(), spec.tokens.size(), size);
    spec.tokens.resize(size, TokenSpec{"", TokenType::Unused});
    spec.specials = read_specials(file, false);
    const auto unknown = std::find_if(spec.tokens.begin(), spec.tokens.end(), [&](const TokenSpec& token) {
        return names.unknown && token.type != TokenType::Unused && token.text == *names.unknown;
    });
    spec.specials.unknown = unknown == spec.tokens.end() ? -1 : static_cast<int32_t>(unknown - spec.tokens.begin());
    return std::make_unique<PipelineTokenizer>(spec);
}

std::unique_ptr<Tokenizer> read_characters(const GgufFile& file) {
    const SpecialTokens specials = read_specials(file, false);
    const std::vector<TokenType> types = read_types(file, specials);
    return std::make_unique<CharTokenizer>(
        CharTokenizer::from_token_strings(file.array<std::string>("tokenizer.ggml.tokens"), types, specials));
}

// ---- writing -----------------------------------------------------------------------------------------------------------

void write_vocabulary(GgufWriter& file, const TokenizerSpec& spec, std::vector<std::string> spellings) {
    constexpr int32_t kByte = 6;  // a type of llama.cpp's
    std::vector<int32_t> types;
    for (const TokenSpec& token : spec.tokens) types.push_back(static_cast<int32_t>(token.type));
    for (size_t i = 0; i < types.size() && spec.model.kind == Kind::SentencePiece; ++i) {
        const TokenSpec& token = spec.tokens[i];
        if (token.type == TokenType::Normal && fallback_byte(token.text)) types[i] = kByte;
        if (token.type == TokenType::Control && static_cast<int32_t>(i) == spec.specials.unknown)
            types[i] = static_cast<int32_t>(TokenType::Unknown);
    }
    file.set("tokenizer.ggml.tokens", std::move(spellings));
    file.set("tokenizer.ggml.token_type", std::move(types));
}

void write_specials(GgufWriter& file, const SpecialTokens& specials) {
    for (const auto& [key, member] : kSpecialKeys)
        if (specials.*member >= 0) file.set(key, static_cast<uint32_t>(specials.*member));
    file.set(kAddBeginKey, specials.add_begin);
    file.set(kAddEndKey, specials.add_end);
}

// Whether the keys say all.
bool write_bpe(GgufWriter& file, TokenizerSpec spec) {
    const LlamaCppSplit& split = closest_llama_cpp_split(spec);
    std::vector<std::string> spellings = llama_cpp_tokens(spec);
    const bool all = llama_cpp_says_all(spec, llama_cpp_gpt2(split), spellings);
    for (std::string& merge : spec.merges) merge[find_merge_separator(merge)] = ' ';
    file.set("tokenizer.ggml.model", std::string("gpt2"));
    file.set("tokenizer.ggml.pre", std::string(split.name));
    write_vocabulary(file, spec, std::move(spellings));
    file.set("tokenizer.ggml.merges", std::move(spec.merges));
    write_specials(file, spec.specials);
    file.set(kAddSpaceKey, false);
    return all;
}

// Likewise, for BPE by merges as well, if it is like Llama's.
bool write_sentencepiece(GgufWriter& file, const TokenizerSpec& given) {
    const bool scored = given.model.kind == Kind::SentencePiece;
    const std::optional<TokenizerSpec> exact = scored ? given : with_scores(given);
    TokenizerSpec spec = exact ? *exact : *with_scores(given, true);
    const bool add_prefix = spec.adds_mark();
    std::vector<std::string> spellings = llama_cpp_tokens(spec);
    const bool all = exact && llama_cpp_says_all(spec, llama_cpp_llama(add_prefix), spellings);
    file.set("tokenizer.ggml.model", std::string("llama"));
    file.set("tokenizer.ggml.pre", std::string("default"));
    write_vocabulary(file, spec, std::move(spellings));
    spec.scores.resize(spec.tokens.size());
    file.set(kScoresKey, std::move(spec.scores));
    write_specials(file, spec.specials);
    for (const auto& [key, id] : {std::pair(kBeginKey, spec.specials.begin), std::pair(kEndKey, spec.specials.end),
                                  std::pair(kUnknownKey, spec.specials.unknown)})
        file.set(key, static_cast<uint32_t>(id));  // -1, too: it is no token, but not Llama's either
    file.set(kAddSpaceKey, add_prefix);
    if (spec.normalizers == sentencepiece_normalizers(add_prefix, true)) file.set(kCollapseKey, true);
    return all;
}

bool write_wordpiece(GgufWriter& file, const TokenizerSpec& spec) {
    std::vector<std::string> spellings = llama_cpp_tokens(spec);
    const auto said = [&](bool lowercase, bool strip) {
        return llama_cpp_says_all(spec, llama_cpp_bert(lowercase, strip), spellings);
    };
    const bool exact[] = {said(false, false), said(false, true), said(true, false), said(true, true)};
    const auto found = std::find(std::begin(exact), std::end(exact), true) - std::begin(exact);
    const bool lowercase = found >= 2, strip_accents = found != 0 && found != 2;
    file.set("tokenizer.ggml.model", std::string("bert"));
    file.set("tokenizer.ggml.pre", std::string("default"));
    write_vocabulary(file, spec, std::move(spellings));
    write_specials(file, spec.specials);
    const SpecialTokens& ids = spec.specials;
    for (const auto& [key, id] :
         {std::pair(kBeginKey, ids.begin), std::pair(kClsKey, ids.begin), std::pair(kEndKey, ids.end),
          std::pair(kSepKey, ids.end), std::pair(kUnknownKey, ids.unknown), std::pair(kPaddingKey, ids.padding)})
        file.set(key, static_cast<uint32_t>(id));  // -1, too: it is no token, but not BERT's either
    file.set(kAddSepKey, ids.add_end);
    file.set(kLowercaseKey, lowercase);
    file.set(kStripAccentsKey, strip_accents);
    return found < std::ssize(exact);
}

}  // namespace

void write_tokenizer(GgufWriter& file, const CharTokenizer& tokenizer) {
    std::vector<int32_t> types;
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) types.push_back(static_cast<int32_t>(tokenizer.token(id).type));
    file.set("tokenizer.ggml.model", std::string("llama"));
    file.set("nib.tokenizer", std::string("char"));
    file.set("tokenizer.ggml.tokens", tokenizer.token_strings());
    file.set(kScoresKey, std::vector<float>(types.size(), 0.0f));
    file.set("tokenizer.ggml.token_type", std::move(types));
    file.set(kAddSpaceKey, false);
    write_specials(file, tokenizer.specials());
}

void write_tokenizer(GgufWriter& file, const PipelineTokenizer& tokenizer) {
    const TokenizerSpec spec = tokenizer.spec();
    const bool sentencepiece = spec.model.kind == Kind::SentencePiece || spec.model.byte_fallback;
    const bool all = spec.model.kind == Kind::WordPiece ? write_wordpiece(file, spec)
                     : sentencepiece                    ? write_sentencepiece(file, spec)
                                                        : write_bpe(file, spec);
    if (!all) file.set(kWholeKey, tokenizer_json(spec));
}

void write_tokenizer(GgufWriter& file, const Tokenizer& tokenizer) {
    if (const auto* characters = dynamic_cast<const CharTokenizer*>(&tokenizer)) return write_tokenizer(file, *characters);
    if (const auto* other = dynamic_cast<const PipelineTokenizer*>(&tokenizer)) return write_tokenizer(file, *other);
    fail("a tokenizer of the kind `%s` cannot be stored in a GGUF file", tokenizer.kind());
}

bool llama_cpp_differs(const GgufFile& file) { return file.value(kWholeKey) != nullptr; }

std::unique_ptr<Tokenizer> read_tokenizer(const GgufFile& file) {
    const auto kind = file.get_or<std::string>("nib.tokenizer", "");
    const auto model = kind.empty() ? file.get_or<std::string>("tokenizer.ggml.model", "none") : kind;
    if (model == "none" || model == "no_vocab") return nullptr;
    if (kind != "char" && model != "gpt2" && model != "llama" && model != "bert" && !llama_cpp_differs(file))
        fail(
            "%s: tokenizer `%s` is not supported; nib knows characters, byte-level BPE (`gpt2`), SentencePiece's BPE "
            "(`llama`) and WordPiece (`bert`)",
            file.name().c_str(), printable(model, 40).c_str());
    try {
        if (kind == "char") return read_characters(file);
        if (llama_cpp_differs(file)) return read_whole(file);
        if (model == "gpt2") return read_bpe(file);
        return model == "llama" ? read_sentencepiece(file) : read_wordpiece(file);
    } catch (const Error& error) {
        if (std::string_view(error.what()).starts_with(file.name())) throw;
        fail("%s: %s", file.name().c_str(), error.what());
    }
}

}  // namespace nib
