#include "text/llama_cpp_keys.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "core/error.h"

namespace nib {
namespace {

using Kind = WordModelSpec::Kind;

std::string gpt2() { return gpt2_pre_tokenizers(); }

// The first name of those that do the same is the one that nib writes.
constexpr LlamaCppSplit kSplits[] = {
    {"gpt-2",       gpt2,                       false, false},
    {"llama-bpe",   llama3_pre_tokenizers,      true,  true },
    {"qwen2",       qwen2_pre_tokenizers,       false, false},
    {"smollm",      gpt2_digits_pre_tokenizers, false, false},
    {"phi-2",       gpt2,                       false, false},
    {"roberta-bpe", gpt2,                       false, false},
    {"mpt",         gpt2,                       false, false},
    {"olmo",        gpt2,                       false, false},
    {"jais",        gpt2,                       false, false},
    {"llama3",      llama3_pre_tokenizers,      true,  true },
    {"llama-v3",    llama3_pre_tokenizers,      true,  true },
    {"stablelm2",   qwen2_pre_tokenizers,       false, false},
    {"starcoder",   gpt2_digits_pre_tokenizers, false, false},
    {"refact",      gpt2_digits_pre_tokenizers, false, false},
    {"codeshell",   gpt2_digits_pre_tokenizers, false, false},
};

constexpr std::string_view kWordBegin = "\u2581";

// Whether two added tokens may compete for the same bytes of a text, so that the order in which they are found matters.
bool may_overlap(const std::vector<TokenSpec>& tokens) {
    constexpr size_t kMost = 2048, kMostBytes = 1 << 17;  // that are compared with each other
    std::vector<std::string_view> added;
    size_t bytes = 0;
    for (const TokenSpec& token : tokens) {
        if (token.is_added()) added.push_back(token.text);
        if (token.is_added()) bytes += token.text.size();
    }
    if (added.size() > kMost || bytes > kMostBytes) return true;
    const auto overlap = [](std::string_view a, std::string_view b) {
        if (a.find(b) != std::string_view::npos) return true;
        for (size_t n = 1; n < std::min(a.size(), b.size()); ++n)
            if (a.ends_with(b.substr(0, n))) return true;
        return false;
    };
    for (size_t i = 0; i < added.size(); ++i)
        for (size_t j = 0; j < added.size(); ++j)
            if (i != j && overlap(added[i], added[j])) return true;
    return false;
}

}  // namespace

const LlamaCppSplit* find_llama_cpp_split(std::string_view name) {
    const auto* const found =
        std::find_if(std::begin(kSplits), std::end(kSplits), [&](const auto& split) { return split.name == name; });
    return found == std::end(kSplits) ? nullptr : found;
}

std::string llama_cpp_split_names() {
    std::string names;
    for (const LlamaCppSplit& split : kSplits) names += (names.empty() ? "" : ", ") + std::string(split.name);
    return names;
}

const LlamaCppSplit& closest_llama_cpp_split(const TokenizerSpec& spec) {
    const auto* const found = std::find_if(std::begin(kSplits), std::end(kSplits), [&](const auto& split) {
        return split.pre_tokenizers() == spec.pre_tokenizers;
    });
    return found == std::end(kSplits) ? kSplits[0] : *found;
}

TokenizerSpec llama_cpp_gpt2(const LlamaCppSplit& split) {
    TokenizerSpec spec;
    spec.model.ignore_merges = split.ignore_merges;
    spec.pre_tokenizers = split.pre_tokenizers();
    spec.decoders = byte_level_decoders();
    return spec;
}

TokenizerSpec llama_cpp_llama(bool add_prefix, bool bytes) {
    TokenizerSpec spec;
    spec.model.kind = Kind::SentencePiece;
    spec.model.fuse_unknown = true;
    spec.model.byte_fallback = bytes;
    spec.normalizers = sentencepiece_normalizers(add_prefix, false);
    spec.decoders = sentencepiece_decoders(add_prefix);
    return spec;
}

TokenizerSpec llama_cpp_t5(const SentencePieceSteps& steps, bool bytes) {
    TokenizerSpec spec;
    spec.model.kind = Kind::Unigram;
    spec.model.as_sentencepiece = true;
    spec.model.byte_fallback = bytes;
    spec.normalizers = sentencepiece_step(steps);
    spec.decoders = sentencepiece_decoders(steps.add_prefix, steps.collapse);
    return spec;
}

TokenizerSpec llama_cpp_bert(bool lowercase, bool strip_accents) {
    TokenizerSpec spec;
    spec.model.kind = Kind::WordPiece;
    spec.model.continuing_prefix = "##";
    spec.normalizers = bert_normalizers(lowercase, strip_accents);
    spec.pre_tokenizers = bert_pre_tokenizers();
    spec.decoders = wordpiece_decoders();
    return spec;
}

std::string to_llama_cpp_bert(const TokenSpec& token) {
    if (token.type != TokenType::Normal) return token.text;
    return token.text.starts_with("##") ? token.text.substr(2) : std::string(kWordBegin) + token.text;
}

// Texts in brackets stand for themselves whatever their type, as older files have them.
std::string from_llama_cpp_bert(const std::string& spelling, TokenType type) {
    const bool in_brackets = spelling.size() > 2 && spelling.starts_with('[') && spelling.ends_with(']');
    if (type != TokenType::Normal || in_brackets) return spelling;
    return spelling.starts_with(kWordBegin) ? spelling.substr(kWordBegin.size()) : "##" + spelling;
}

std::vector<std::string> llama_cpp_tokens(const TokenizerSpec& spec) {
    std::vector<std::string> spellings;
    std::unordered_set<std::string> seen;
    for (size_t i = 0; i < spec.tokens.size(); ++i) {
        const TokenSpec& token = spec.tokens[i];
        std::string spelling = token.type == TokenType::Unused      ? strprintf("[PAD%zu]", i)
                               : spec.model.kind == Kind::WordPiece ? to_llama_cpp_bert(token)
                                                                    : token.text;
        if (!seen.insert(spelling).second) {
            spelling += strprintf("[%zu]", i);
            seen.insert(spelling);
        }
        spellings.push_back(std::move(spelling));
    }
    return spellings;
}

bool llama_cpp_says_all(const TokenizerSpec& spec, const TokenizerSpec& said, const std::vector<std::string>& spellings) {
    if (spec.model != said.model || spec.normalizers != said.normalizers || spec.pre_tokenizers != said.pre_tokenizers ||
        spec.decoders != said.decoders)
        return false;
    const bool wordpiece = spec.model.kind == Kind::WordPiece, sentencepiece = spec.model.kind == Kind::SentencePiece;
    const bool order_matters = spec.normalizers != "[]" || may_overlap(spec.tokens);
    for (size_t i = 0; i < spec.tokens.size(); ++i) {
        const TokenSpec& token = spec.tokens[i];
        if (token.type == TokenType::Unused) continue;
        const bool last = !sentencepiece && token.type == TokenType::UserDefined;  // of the added tokens
        const bool in_order = !token.is_added() || token.normalized == last;
        const std::string text = wordpiece ? from_llama_cpp_bert(spellings[i], token.type) : spellings[i];
        if (token.lstrip || token.rstrip || token.single_word || (order_matters && !in_order) ||
            (wordpiece && !token.in_vocabulary) || text != token.text)
            return false;
    }
    return true;
}

}  // namespace nib
