#include "text/tokenizer_gguf.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/char_tokenizer.h"
#include "text/llama_cpp_keys.h"
#include "text/pipeline_tokenizer.h"
#include "text/score_merges.h"
#include "text/tokenizer_gguf_keys.h"
#include "text/tokenizer_json.h"
#include "text/unknown_text.h"

namespace nib {
namespace {

using namespace tokenizer_keys;
using Kind = WordModelSpec::Kind;

// Files from before there was such a key are split as GPT-2 does.
const LlamaCppSplit& read_split(const Keys& file) {
    const auto name = file.get_or<std::string>("tokenizer.ggml.pre", "gpt-2");
    if (const LlamaCppSplit* const split = find_llama_cpp_split(name)) return *split;
    fail("%s: the way of splitting text `%s` (tokenizer.ggml.pre) is not supported; nib knows %s", file.name().c_str(),
         printable(name, 40).c_str(), llama_cpp_split_names().c_str());
}

// The id at `key`; `fallback` when there is none.
int32_t read_id(const Keys& file, const char* key, int32_t fallback = -1) {
    const auto id = file.get_or<int64_t>(key, fallback);
    if (id == std::numeric_limits<uint32_t>::max()) return -1;
    if (id < -1 || id >= std::numeric_limits<int32_t>::max())
        fail("%s: key `%s`: there is no token %lld", file.name().c_str(), key, static_cast<long long>(id));
    return static_cast<int32_t>(id);
}

PairForm read_pairs(const Keys& file, const PairForm& standard) {
    if (file.value(kPairsKey) == nullptr) return standard;
    const auto& numbers = file.array<int32_t>(kPairsKey);
    const bool good = numbers.size() == 3 && numbers[0] >= -1 && numbers[0] <= kMostEnds && numbers[2] >= 0;
    if (!good) fail("%s: key `%s` does not say how two texts are put together", file.name().c_str(), kPairsKey);
    return {numbers[0], numbers[1] != 0, numbers[2]};
}

SpecialTokens read_specials(const Keys& file, bool add_begin) {
    SpecialTokens specials;
    for (const auto& [key, member] : kSpecialKeys) specials.*member = read_id(file, key);
    specials.add_begin = file.get_or<bool>(kAddBeginKey, add_begin && specials.begin >= 0);
    specials.add_end = file.get_or<bool>(kAddEndKey, false);
    specials.pairs = read_pairs(file, {});
    return specials;
}

// Without types all tokens are normal but those with a purpose.
std::vector<TokenType> read_types(const Keys& file, const SpecialTokens& specials) {
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

std::vector<TokenSpec> read_tokens(const Keys& file, const SpecialTokens& specials) {
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

std::unique_ptr<Tokenizer> read_bpe(const Keys& file) {
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

void read_scores(const Keys& file, TokenizerSpec& spec) {
    if (file.value(kScoresKey) == nullptr) return;
    const auto& scores = file.array<float>(kScoresKey);
    spec.scores.assign(scores.begin(), scores.end());
}

SentencePieceSteps read_steps(const Keys& file, bool add_prefix) {
    SentencePieceSteps steps;
    steps.add_prefix = file.get_or<bool>(kAddSpaceKey, add_prefix);
    steps.collapse = file.get_or<bool>(kCollapseKey, false);
    steps.escape = file.get_or<bool>(kEscapeKey, true);
    steps.suffix = file.get_or<bool>(kSuffixKey, false);
    const GgufValue* const charsmap = file.value(kCharsmapKey);
    if (charsmap == nullptr) return steps;
    if (const auto* bytes = std::get_if<std::vector<int8_t>>(charsmap))
        steps.charsmap.assign(bytes->begin(), bytes->end());
    else
        steps.charsmap.assign(file.array<uint8_t>(kCharsmapKey).begin(), file.array<uint8_t>(kCharsmapKey).end());
    return steps;
}

bool has_bytes(const Keys& file) {
    const auto& texts = file.array<std::string>("tokenizer.ggml.tokens");
    return std::any_of(texts.begin(), texts.end(), [](const auto& text) { return fallback_byte(text).has_value(); });
}

void read_added_flags(const Keys& file, std::vector<TokenSpec>& tokens) {
    if (file.value(kAddedKey) == nullptr) return;
    const auto& numbers = file.array<int32_t>(kAddedKey);
    for (size_t i = 0; i < numbers.size(); i += 2) {
        const auto id = static_cast<size_t>(numbers[i]);
        if (i + 1 == numbers.size() || id >= tokens.size())
            fail("%s: key `%s` is not a list of ids and flags", file.name().c_str(), kAddedKey);
        const int32_t flags = numbers[i + 1];
        tokens[id].in_vocabulary = (flags & kOutside) == 0;
        tokens[id].normalized = (flags & kNormalized) != 0;
        tokens[id].lstrip = (flags & kLstrip) != 0;
        tokens[id].rstrip = (flags & kRstrip) != 0;
        tokens[id].single_word = (flags & kSingleWord) != 0;
    }
}

// llama.cpp takes the ids of Llama's marks for granted, and that one of them begins texts. Bytes have a type of their own
// there; here their tokens are known by their texts.
std::unique_ptr<Tokenizer> read_sentencepiece(const Keys& file) {
    SentencePieceSteps steps = read_steps(file, true);
    if (!file.get_or<bool>(kStepsKey, false)) steps = {steps.add_prefix, steps.collapse};
    TokenizerSpec spec = llama_cpp_llama(steps.add_prefix, has_bytes(file));
    spec.normalizers = sentencepiece_bpe_normalizers(steps);
    const auto size = file.array<std::string>("tokenizer.ggml.tokens").size();
    const auto standard = [&](int32_t id) { return static_cast<size_t>(id) < size ? id : -1; };
    SpecialTokens& to = spec.specials;
    to.begin = read_id(file, kBeginKey, standard(1));
    to.end = read_id(file, kEndKey, standard(2));
    to.unknown = read_id(file, kUnknownKey, standard(0));
    to.padding = read_id(file, kPaddingKey);
    to.add_begin = file.get_or<bool>(kAddBeginKey, to.begin >= 0);
    to.add_end = file.get_or<bool>(kAddEndKey, false);
    spec.tokens = read_tokens(file, to);
    to.mask = read_id(file, kMaskKey);
    to.pairs = read_pairs(file, {});
    for (TokenSpec& token : spec.tokens) token.normalized = false;
    read_added_flags(file, spec.tokens);
    read_scores(file, spec);
    return std::make_unique<PipelineTokenizer>(spec);
}

// llama.cpp takes the ids of T5's marks for granted, and that one of them ends texts.
std::unique_ptr<Tokenizer> read_unigram(const Keys& file) {
    TokenizerSpec spec = llama_cpp_t5(read_steps(file, false), has_bytes(file));
    const auto size = file.array<std::string>("tokenizer.ggml.tokens").size();
    const auto standard = [&](int32_t id) { return static_cast<size_t>(id) < size ? id : -1; };
    SpecialTokens& to = spec.specials;
    to.begin = read_id(file, kBeginKey);
    to.end = read_id(file, kEndKey, standard(1));
    to.unknown = read_id(file, kUnknownKey, standard(2));
    to.padding = read_id(file, kPaddingKey, standard(0));
    to.mask = read_id(file, kMaskKey);
    to.add_begin = file.get_or<bool>(kAddBeginKey, false) && to.begin >= 0;
    to.add_end = file.get_or<bool>(kAddEndKey, true) && to.end >= 0;
    to.pairs = read_pairs(file, kT5Pairs);
    spec.tokens = read_tokens(file, to);
    for (TokenSpec& token : spec.tokens) token.normalized = false;
    read_added_flags(file, spec.tokens);
    read_scores(file, spec);
    if (file.value(kUnlistedKey) != nullptr) {
        const auto& texts = file.array<std::string>(kUnlistedKey);
        const auto& scores = file.array<float>(kUnlistedScoresKey);
        if (texts.size() != scores.size())
            fail("%s: there are %zu pieces without a token, but %zu scores", file.name().c_str(), texts.size(),
                 scores.size());
        for (size_t i = 0; i < texts.size(); ++i) spec.unlisted.push_back({texts[i], scores[i]});
    }
    return std::make_unique<PipelineTokenizer>(spec);
}

// llama.cpp takes BERT's token ids for granted, and one of them on each side of a text.
std::unique_ptr<Tokenizer> read_wordpiece(const Keys& file) {
    const bool lowercase = file.get_or<bool>(kLowercaseKey, true);
    TokenizerSpec spec = llama_cpp_bert(lowercase, file.get_or<bool>(kStripAccentsKey, lowercase));
    const auto& texts = file.array<std::string>("tokenizer.ggml.tokens");
    const auto standard = [&](int32_t id) { return static_cast<size_t>(id) < texts.size() ? id : -1; };
    constexpr int32_t kMask = 103;
    const bool has_mask = standard(kMask) >= 0 && texts[kMask] == "[MASK]";
    SpecialTokens& to = spec.specials;
    to.begin = read_id(file, kBeginKey, read_id(file, kClsKey, standard(101)));
    to.end = read_id(file, kEndKey, read_id(file, kSepKey, standard(102)));
    to.unknown = read_id(file, kUnknownKey, standard(100));
    to.padding = read_id(file, kPaddingKey, standard(0));
    to.mask = read_id(file, kMaskKey, has_mask ? kMask : -1);
    to.pairs = read_pairs(file, kBertPairs);
    to.add_begin = to.begin >= 0 && file.get_or<bool>(kAddBeginKey, true);
    to.add_end = to.end >= 0 && file.get_or<bool>(kAddSepKey, true);
    spec.tokens = read_tokens(file, to);
    for (TokenSpec& token : spec.tokens) token.text = from_llama_cpp_bert(token.text, token.type);
    return std::make_unique<PipelineTokenizer>(spec);
}

// The whole, with ids without tokens up to what the other keys have.
std::unique_ptr<Tokenizer> read_whole(const Keys& file) {
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
    spec.specials.pairs = names.pairs;
    const auto unknown = std::find_if(spec.tokens.begin(), spec.tokens.end(), [&](const TokenSpec& token) {
        return names.unknown && token.type != TokenType::Unused && token.text == *names.unknown;
    });
    spec.specials.unknown = unknown == spec.tokens.end() ? -1 : static_cast<int32_t>(unknown - spec.tokens.begin());
    return std::make_unique<PipelineTokenizer>(spec);
}

std::unique_ptr<Tokenizer> read_characters(const Keys& file) {
    const SpecialTokens specials = read_specials(file, false);
    const std::vector<TokenType> types = read_types(file, specials);
    return std::make_unique<CharTokenizer>(
        CharTokenizer::from_token_strings(file.array<std::string>("tokenizer.ggml.tokens"), types, specials));
}

std::unique_ptr<Tokenizer> read_any(const Keys& file) {
    const auto kind = file.get_or<std::string>("nib.tokenizer", "");
    const auto model = kind.empty() ? file.get_or<std::string>("tokenizer.ggml.model", "none") : kind;
    const bool whole = file.value(kWholeKey) != nullptr;
    if (model == "none" || model == "no_vocab") return nullptr;
    if (kind == "char") return read_characters(file);
    if (whole) return read_whole(file);
    if (model == "gpt2") return read_bpe(file);
    if (model == "llama") return read_sentencepiece(file);
    if (model == "t5") return read_unigram(file);
    if (model == "bert") return read_wordpiece(file);
    fail(
        "%s: tokenizer `%s` is not supported; nib knows characters, byte-level BPE (`gpt2`), SentencePiece's BPE "
        "(`llama`) and Unigram (`t5`), and WordPiece (`bert`)",
        file.name().c_str(), printable(model, 40).c_str());
}

std::unique_ptr<Tokenizer> read_named(const GgufFile& file, const char* prefix) {
    try {
        return read_any(Keys(file, prefix));
    } catch (const Error& error) {
        if (std::string_view(error.what()).starts_with(file.name())) throw;
        fail("%s: %s", file.name().c_str(), error.what());
    }
}

}  // namespace

bool llama_cpp_differs(const GgufFile& file) {
    const auto& keys = file.metadata();
    return std::any_of(keys.begin(), keys.end(),
                       [](const GgufEntry& entry) { return entry.key == kWholeKey || entry.key.starts_with(kOwnKeys); });
}

std::unique_ptr<Tokenizer> read_tokenizer(const GgufFile& file) { return read_named(file, ""); }

std::unique_ptr<Tokenizer> read_target_tokenizer(const GgufFile& file) { return read_named(file, kTarget); }

}  // namespace nib
