// What makes a tokenizer, as Hugging Face's tokenizer.json says it: the one description that every kind of file is read
// into, and from which every kind of file is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/json_value.h"
#include "text/tokenizer.h"

namespace nib {

/// A token, and how an added one (of any type but Normal and Unused) is found in a text.
struct TokenSpec {
    std::string text;  // as the vocabulary spells it: in GPT-2's alphabet, with "##" and the like
    TokenType type = TokenType::Normal;
    bool normalized = false;    // found after normalization, and after all those of which this is false
    bool lstrip = false;        // takes the white space before it
    bool rstrip = false;        // and after it
    bool single_word = false;   // not where letters or digits touch it
    bool in_vocabulary = true;  // the model knows it, too

    bool is_added() const { return type != TokenType::Normal && type != TokenType::Unused; }
    bool operator==(const TokenSpec&) const = default;
};

/// How a word becomes tokens of the vocabulary.
struct WordModelSpec {
    enum class Kind { Bpe, SentencePiece, Unigram, WordPiece, WordLevel };  // SentencePiece: its BPE, by scores
    Kind kind = Kind::Bpe;
    std::string continuing_prefix;  // BPE, WordPiece: before all of a word's tokens but the first
    std::string word_suffix;        // BPE: after a word's last token
    bool fuse_unknown = false;      // both BPE: neighbours that are unknown are one unknown token
    bool byte_fallback = false;     // both BPE, Unigram: what has no token becomes the tokens of its bytes, "<0x0A>"
    bool ignore_merges = false;     // BPE: a word that is a token is that token, whether merges lead to it or not
    int64_t longest_word = 100;     // WordPiece: longer ones (in characters) are unknown
    bool as_sentencepiece = false;  // Unigram: as SentencePiece does it, which finds tokens of users, but no marks and
                                    // bytes, and adds in single precision; else as Hugging Face's `tokenizers`

    bool operator==(const WordModelSpec&) const = default;
};

/// What Unigram cuts out of a text, though the vocabulary has no token for it: it is unknown.
struct UnlistedPiece {
    std::string text;
    double score;

    bool operator==(const UnlistedPiece&) const = default;
};

struct TokenizerSpec {
    std::vector<TokenSpec> tokens;    // in the order of their ids
    std::vector<std::string> merges;  // of BPE, in the order of their ranks: see join_merge()
    // Of SentencePiece and Unigram, one for each token; those missing are 0. -infinity (Unigram): the token is in the
    // vocabulary, but found only as the text of what has no token.
    std::vector<double> scores;
    std::vector<UnlistedPiece> unlisted;  // of Unigram
    WordModelSpec model;
    // The steps around the model: JSON lists in canonical form, so that two that do the same are the same text.
    std::string normalizers = "[]", pre_tokenizers = "[]", decoders = "[]";
    SpecialTokens specials;

    /// Whether the last step before the model spells bytes in GPT-2's alphabet, so that any bytes can be encoded.
    bool is_byte_level() const;
    /// Whether a step puts SentencePiece's mark for a space, U+2581, before every text.
    bool adds_mark() const;
    /// Whether the model finds this token by itself, although users defined it: nothing finds it in a text before.
    bool is_left_to_model(const TokenSpec& token) const {
        return model.as_sentencepiece && token.type == TokenType::UserDefined && token.in_vocabulary;
    }
};

/// Two tokens to merge, with a space between them (or 0xFF, which is in no text, if one of them has a space in it), and
/// the place of that separator. npos if there is none.
std::string join_merge(const std::string& left, const std::string& right);
size_t find_merge_separator(std::string_view merge);

/// A section of a tokenizer.json in canonical form: a list without sequences in it, each step with all of its options.
/// Error, naming the place, for a step or an option that nib does not know.
std::string read_normalizers(const JsonValue& section);
std::string read_pre_tokenizers(const JsonValue& section);
std::string read_decoders(const JsonValue& section);

/// The steps that split as GPT-2, Llama 3 and Qwen 2 do and then spell bytes, and that undo this. `add_prefix_space`: a
/// text, or part of one between added tokens, begins with a space. `digits`: each of them is split off first.
extern const char* const kGpt2Pattern;
std::string gpt2_pre_tokenizers(bool add_prefix_space = false);
std::string gpt2_digits_pre_tokenizers();
std::string llama3_pre_tokenizers();
std::string qwen2_pre_tokenizers();
std::string byte_level_decoders();

/// Lower case, and nothing else.
std::string lowercase_normalizers();

/// BERT's. Without `strip_accents` it depends on `lowercase`.
std::string bert_normalizers(bool lowercase, std::optional<bool> strip_accents = std::nullopt, bool chinese = true);
std::string bert_pre_tokenizers();
std::string wordpiece_decoders();

/// SentencePiece's: spaces become U+2581, one of which is put before the text with `add_prefix`. `collapse`: first spaces
/// at both ends are removed, and of several in a row all but one.
std::string sentencepiece_normalizers(bool add_prefix, bool collapse);
/// `collapse`: no spaces begin a text.
std::string sentencepiece_decoders(bool add_prefix, bool collapse = false);

/// All that a model of SentencePiece can say about what comes first.
struct SentencePieceSteps {
    bool add_prefix = true, collapse = true;
    bool escape = true;         // spaces become U+2581
    bool suffix = false;        // what add_prefix adds comes after the text
    std::string charsmap = {};  // bytes of a Charsmap; empty: characters stay as they are

    bool operator==(const SentencePieceSteps&) const = default;
};

/// These as one step of SentencePiece's own, which no tokenizer.json has; and back, nothing for other steps.
std::string sentencepiece_step(const SentencePieceSteps& steps);
std::optional<SentencePieceSteps> read_sentencepiece_step(const std::string& normalizers);
/// The steps before SentencePiece's BPE: those that a tokenizer.json can have, too, if they say all.
std::string sentencepiece_bpe_normalizers(const SentencePieceSteps& steps);
/// What comes closest to it among the steps that a tokenizer.json can have.
std::string sentencepiece_step_as_others(const SentencePieceSteps& steps);

/// Of BPE whose words end in a suffix, as GPT-1's do.
std::string bpe_decoders(const std::string& suffix);

}  // namespace nib
