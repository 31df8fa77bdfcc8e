// Writes tokenizers into GGUF files.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "io/base64.h"
#include "text/char_tokenizer.h"
#include "text/llama_cpp_keys.h"
#include "text/pipeline_tokenizer.h"
#include "text/score_merges.h"
#include "text/tokenizer_gguf.h"
#include "text/tokenizer_gguf_keys.h"
#include "text/tokenizer_json.h"
#include "text/unknown_text.h"

namespace nib {
namespace {

using namespace tokenizer_keys;
using Kind = WordModelSpec::Kind;

void write_vocabulary(KeyWriter& file, const TokenizerSpec& spec, std::vector<std::string> spellings) {
    constexpr int32_t kByte = 6;  // a type of llama.cpp's
    std::vector<int32_t> types;
    for (const TokenSpec& token : spec.tokens) types.push_back(static_cast<int32_t>(token.type));
    const bool sentencepiece = spec.model.kind == Kind::SentencePiece || spec.model.kind == Kind::Unigram;
    for (size_t i = 0; i < types.size() && sentencepiece; ++i) {
        const TokenSpec& token = spec.tokens[i];
        if (token.type == TokenType::Normal && fallback_byte(token.text)) types[i] = kByte;
        if (token.type == TokenType::Control && static_cast<int32_t>(i) == spec.specials.unknown)
            types[i] = static_cast<int32_t>(TokenType::Unknown);
    }
    file.set("tokenizer.ggml.tokens", std::move(spellings));
    file.set("tokenizer.ggml.token_type", std::move(types));
}

void write_pairs(KeyWriter& file, const PairForm& pairs, const PairForm& standard) {
    if (pairs == standard) return;
    file.set(kPairsKey, std::vector<int32_t>{pairs.ends_between, pairs.begins_second ? 1 : 0, pairs.second_type});
}

void write_specials(KeyWriter& file, const SpecialTokens& specials) {
    for (const auto& [key, member] : kSpecialKeys)
        if (specials.*member >= 0) file.set(key, static_cast<uint32_t>(specials.*member));
    file.set(kAddBeginKey, specials.add_begin);
    file.set(kAddEndKey, specials.add_end);
}

// Whether the keys say all.
bool write_bpe(KeyWriter& file, TokenizerSpec spec) {
    const LlamaCppSplit& split = closest_llama_cpp_split(spec);
    std::vector<std::string> spellings = llama_cpp_tokens(spec);
    const bool all = llama_cpp_says_all(spec, llama_cpp_gpt2(split), spellings);
    for (std::string& merge : spec.merges) merge[find_merge_separator(merge)] = ' ';
    file.set("tokenizer.ggml.model", std::string("gpt2"));
    file.set("tokenizer.ggml.pre", std::string(split.name));
    write_vocabulary(file, spec, std::move(spellings));
    file.set("tokenizer.ggml.merges", std::move(spec.merges));
    write_specials(file, spec.specials);
    write_pairs(file, spec.specials.pairs, {});
    file.set(kAddSpaceKey, false);
    return all;
}

void write_steps(KeyWriter& file, const SentencePieceSteps& steps) {
    file.set(kAddSpaceKey, steps.add_prefix);
    file.set(kCollapseKey, steps.collapse);
    if (!steps.escape) file.set(kEscapeKey, false);
    if (steps.suffix) file.set(kSuffixKey, true);
    if (!steps.charsmap.empty()) file.set(kCharsmapKey, std::vector<uint8_t>(steps.charsmap.begin(), steps.charsmap.end()));
}

void write_added_flags(KeyWriter& file, const std::vector<TokenSpec>& tokens) {
    std::vector<int32_t> added;
    for (size_t id = 0; id < tokens.size(); ++id)
        if (const int32_t flags = added_flags(tokens[id]); flags != 0)
            added.insert(added.end(), {static_cast<int32_t>(id), flags});
    if (!added.empty()) file.set(kAddedKey, std::move(added));
}

void write_scores(KeyWriter& file, TokenizerSpec spec) {
    spec.scores.resize(spec.tokens.size());
    file.set(kScoresKey, std::vector<float>(spec.scores.begin(), spec.scores.end()));
}

// Likewise, for BPE by merges as well, if it is like Llama's.
bool write_sentencepiece(KeyWriter& file, const TokenizerSpec& given) {
    const bool scored = given.model.kind == Kind::SentencePiece;
    const std::optional<TokenizerSpec> exact = scored ? given : with_scores(given);
    TokenizerSpec spec = exact ? *exact : *with_scores(given, true);
    const bool add_prefix = spec.adds_mark();
    std::vector<std::string> spellings = llama_cpp_tokens(spec);
    const auto steps = read_sentencepiece_step(spec.normalizers);
    const bool all = steps || (exact && llama_cpp_says_all(spec, llama_cpp_llama(add_prefix), spellings));
    file.set("tokenizer.ggml.model", std::string("llama"));
    file.set("tokenizer.ggml.pre", std::string("default"));
    write_vocabulary(file, spec, std::move(spellings));
    write_scores(file, spec);
    write_specials(file, spec.specials);
    write_pairs(file, spec.specials.pairs, {});
    for (const auto& [key, id] : {std::pair(kBeginKey, spec.specials.begin), std::pair(kEndKey, spec.specials.end),
                                  std::pair(kUnknownKey, spec.specials.unknown)})
        file.set(key, static_cast<uint32_t>(id));  // -1, too: it is no token, but not Llama's either
    if (steps) {
        file.set(kStepsKey, true);
        write_steps(file, *steps);
        write_added_flags(file, spec.tokens);
        return all;
    }
    file.set(kAddSpaceKey, add_prefix);
    if (spec.normalizers == sentencepiece_normalizers(add_prefix, true)) file.set(kCollapseKey, true);
    return all;
}

// The step of SentencePiece's that comes closest to those of a tokenizer.json.
SentencePieceSteps closest_steps(const TokenizerSpec& spec) {
    if (const auto steps = read_sentencepiece_step(spec.normalizers)) return *steps;
    SentencePieceSteps steps{.add_prefix = spec.adds_mark(), .collapse = false};
    for (const nlohmann::json& step : nlohmann::json::parse(spec.normalizers)) {
        if (step["type"] == "Precompiled")
            steps.charsmap = from_base64(step["precompiled_charsmap"].get<std::string>()).value_or("");
        if (step["type"] == "Replace" && step["pattern"].contains("Regex")) steps.collapse = true;  // of spaces
    }
    return steps;
}

bool write_unigram(KeyWriter& file, const TokenizerSpec& spec) {
    file.set("tokenizer.ggml.model", std::string("t5"));
    file.set("tokenizer.ggml.pre", std::string("default"));
    write_vocabulary(file, spec, llama_cpp_tokens(spec));
    write_scores(file, spec);
    write_specials(file, spec.specials);
    write_pairs(file, spec.specials.pairs, kT5Pairs);
    for (const auto& [key, id] :
         {std::pair(kBeginKey, spec.specials.begin), std::pair(kEndKey, spec.specials.end),
          std::pair(kUnknownKey, spec.specials.unknown), std::pair(kPaddingKey, spec.specials.padding)})
        file.set(key, static_cast<uint32_t>(id));  // -1, too: it is no token, but not T5's either
    write_steps(file, closest_steps(spec));
    if (!spec.model.as_sentencepiece) return false;
    write_added_flags(file, spec.tokens);
    if (spec.unlisted.empty()) return true;
    std::vector<std::string> texts;
    std::vector<float> scores;
    for (const UnlistedPiece& piece : spec.unlisted) {
        texts.push_back(piece.text);
        scores.push_back(static_cast<float>(piece.score));
    }
    file.set(kUnlistedKey, std::move(texts));
    file.set(kUnlistedScoresKey, std::move(scores));
    return true;
}

bool write_wordpiece(KeyWriter& file, const TokenizerSpec& spec) {
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
          std::pair(kSepKey, ids.end), std::pair(kUnknownKey, ids.unknown), std::pair(kPaddingKey, ids.padding),
          std::pair(kMaskKey, ids.mask)})
        file.set(key, static_cast<uint32_t>(id));  // -1, too: it is no token, but not BERT's either
    write_pairs(file, ids.pairs, kBertPairs);
    file.set(kAddSepKey, ids.add_end);
    file.set(kLowercaseKey, lowercase);
    file.set(kStripAccentsKey, strip_accents);
    return found < std::ssize(exact);
}

void write_characters(KeyWriter& file, const CharTokenizer& tokenizer) {
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

// Whether llama.cpp's keys say all.
bool write_pipeline(KeyWriter& file, const PipelineTokenizer& tokenizer) {
    const TokenizerSpec spec = tokenizer.spec();
    const bool sentencepiece = spec.model.kind == Kind::SentencePiece || spec.model.byte_fallback;
    const bool all = spec.model.kind == Kind::WordPiece ? write_wordpiece(file, spec)
                     : spec.model.kind == Kind::Unigram ? write_unigram(file, spec)
                     : sentencepiece                    ? write_sentencepiece(file, spec)
                                                        : write_bpe(file, spec);
    if (!all) file.set(kWholeKey, tokenizer_json(spec));
    return all && !file.own();
}

bool write_any(KeyWriter file, const Tokenizer& tokenizer) {
    if (const auto* characters = dynamic_cast<const CharTokenizer*>(&tokenizer)) {
        write_characters(file, *characters);
        return true;
    }
    if (const auto* other = dynamic_cast<const PipelineTokenizer*>(&tokenizer)) return write_pipeline(file, *other);
    fail("a tokenizer of the kind `%s` cannot be stored in a GGUF file", tokenizer.kind());
}

}  // namespace

bool write_tokenizer(GgufWriter& file, const Tokenizer& tokenizer) { return write_any({file, ""}, tokenizer); }

void write_target_tokenizer(GgufWriter& file, const Tokenizer& tokenizer) { write_any({file, kTarget}, tokenizer); }

}  // namespace nib
