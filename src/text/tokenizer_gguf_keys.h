// The metadata keys of tokenizers in GGUF files, as tokenizer_gguf.cpp reads and tokenizer_gguf_writer.cpp writes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "io/gguf.h"
#include "text/tokenizer_spec.h"

namespace nib::tokenizer_keys {

inline constexpr const char* kWholeKey = "tokenizer.huggingface.json";
inline constexpr const char* kBeginKey = "tokenizer.ggml.bos_token_id";
inline constexpr const char* kEndKey = "tokenizer.ggml.eos_token_id";
inline constexpr const char* kUnknownKey = "tokenizer.ggml.unknown_token_id";
inline constexpr const char* kPaddingKey = "tokenizer.ggml.padding_token_id";
inline constexpr const char* kClsKey = "tokenizer.ggml.cls_token_id";
inline constexpr const char* kSepKey = "tokenizer.ggml.seperator_token_id";  // spelled so
inline constexpr const char* kAddBeginKey = "tokenizer.ggml.add_bos_token";
inline constexpr const char* kAddEndKey = "tokenizer.ggml.add_eos_token";
inline constexpr const char* kAddSepKey = "tokenizer.ggml.add_sep_token";
inline constexpr const char* kAddSpaceKey = "tokenizer.ggml.add_space_prefix";
inline constexpr const char* kCollapseKey = "tokenizer.ggml.remove_extra_whitespaces";
inline constexpr const char* kScoresKey = "tokenizer.ggml.scores";
inline constexpr const char* kLowercaseKey = "tokenizer.ggml.normalizer.lowercase";
inline constexpr const char* kStripAccentsKey = "tokenizer.ggml.normalizer.strip_accents";
inline constexpr const char* kMaskKey = "tokenizer.ggml.mask_token_id";
inline constexpr const char* kCharsmapKey = "tokenizer.ggml.precompiled_charsmap";

// What llama.cpp has no key for. With one that begins so it may give other ids.
inline constexpr std::string_view kOwnKeys = "nib.tokenizer.";
inline constexpr const char* kStepsKey =
    "nib.tokenizer.sentencepiece_steps";  // SentencePiece's BPE, too, has all of its steps
inline constexpr const char* kEscapeKey = "nib.tokenizer.escape_whitespaces";
inline constexpr const char* kSuffixKey = "nib.tokenizer.whitespace_as_suffix";
inline constexpr const char* kUnlistedKey = "nib.tokenizer.unlisted_pieces";
inline constexpr const char* kUnlistedScoresKey = "nib.tokenizer.unlisted_scores";
inline constexpr const char* kAddedKey = "nib.tokenizer.added";  // pairs of ids and flags
inline constexpr const char* kPairsKey = "nib.tokenizer_pairs";

// Before all keys of the tokenizer that a translation is in.
inline constexpr const char* kTarget = "nib.target.";

// The keys of one tokenizer in a file.
class Keys {
public:
    Keys(const GgufFile& file, std::string prefix) : file_(file), prefix_(std::move(prefix)) {}

    const std::string& name() const { return file_.name(); }
    const GgufValue* value(std::string_view key) const { return file_.value(whole(key)); }
    template <class T>
    T get(std::string_view key) const {
        return file_.get<T>(whole(key));
    }
    template <class T>
    T get_or(std::string_view key, std::type_identity_t<T> fallback) const {
        return file_.get_or<T>(whole(key), std::move(fallback));
    }
    template <class T>
    const std::vector<T>& array(std::string_view key) const {
        return file_.array<T>(whole(key));
    }

private:
    std::string whole(std::string_view key) const { return prefix_ + std::string(key); }

    const GgufFile& file_;
    std::string prefix_;
};

class KeyWriter {
public:
    KeyWriter(GgufWriter& file, std::string prefix) : file_(file), prefix_(std::move(prefix)) {}

    void set(const std::string& key, GgufValue value) {
        own_ = own_ || key.starts_with(kOwnKeys);
        file_.set(prefix_ + key, std::move(value));
    }
    /// Whether a key was set that llama.cpp does not know.
    bool own() const { return own_; }

private:
    GgufWriter& file_;
    std::string prefix_;
    bool own_ = false;
};

// Tokens with a key each.
inline constexpr std::pair<const char*, int32_t SpecialTokens::*> kSpecialKeys[] = {
    {kBeginKey,   &SpecialTokens::begin  },
    {kEndKey,     &SpecialTokens::end    },
    {kUnknownKey, &SpecialTokens::unknown},
    {kPaddingKey, &SpecialTokens::padding},
    {kMaskKey,    &SpecialTokens::mask   },
};

inline constexpr int32_t kMostEnds = 16;  // tokens between two texts
inline constexpr PairForm kT5Pairs = {1, true, 0};

// How tokens are found in a text, where it is not as one that SentencePiece has by itself.
enum AddedFlag : int32_t { kOutside = 1, kNormalized = 2, kLstrip = 4, kRstrip = 8, kSingleWord = 16 };
inline int32_t added_flags(const TokenSpec& token) {
    return (token.in_vocabulary ? 0 : kOutside) | (token.normalized ? kNormalized : 0) | (token.lstrip ? kLstrip : 0) |
           (token.rstrip ? kRstrip : 0) | (token.single_word ? kSingleWord : 0);
}

}  // namespace nib::tokenizer_keys
