// The tokenizer of character models: a text's tokens are its Unicode code points, but for a few tokens that are longer.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace nib {

struct CharToken {
    std::string text;
    TokenType type = TokenType::Normal;
};

/// All that makes a character tokenizer.
struct CharModel {
    /// In the order of their ids. Normal: one character. UserDefined: several, found in a text before its characters are.
    /// Control and Unknown: the same for a mark such as "<.>" or "[UNK]". Unused: an id without a token; its text is empty.
    std::vector<CharToken> tokens;
    SpecialTokens specials;
};

class CharTokenizer : public Tokenizer {
public:
    /// Error for texts that are not what their type says, for two that are alike, for special tokens that are no tokens,
    /// and when there is no token at all.
    explicit CharTokenizer(CharModel model);

    /// A tokenizer for these characters, which get the ids 0, 1, ...
    static CharTokenizer from_code_points(std::span<const char32_t> code_points);

    /// The inverse of `token_strings`, for a vocabulary read from a file. Errors are those of the constructor.
    static CharTokenizer from_token_strings(std::span<const std::string> strings, std::span<const TokenType> types,
                                            const SpecialTokens& specials);

    /// At each place the longest token that is found there. Characters without a token become the token for unknown text.
    /// Error for malformed UTF-8, and without such a token for a character that the model does not know.
    std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const override;
    PlacedTokens encode_placed(std::string_view text, const EncodeOptions& options = {}) const override;

    using Tokenizer::decode;
    std::string decode(int32_t id) const override;
    int32_t vocab_size() const override { return static_cast<int32_t>(tokens_.size()); }
    TokenType type(int32_t id) const override { return token(id).type; }
    const char* kind() const override { return "char"; }
    /// Where nothing begins or ends texts a line feed, if the model knows it.
    int32_t first_token() const override;

    /// The id of a character that is a token, else -1.
    int32_t id_of(char32_t code) const {
        return code < kCodePointLimit ? ids_[page_of_[code / kPage] * kPage + code % kPage] : -1;
    }

    /// Whether the tokens of every text are those of its characters, one by one.
    bool only_characters() const { return longer_[0].empty() && specials().unknown < 0; }

    /// The same, but for marks (TokenType::Control), which are found in texts too.
    bool only_characters_and_marks() const { return longer_[1].empty() && specials().unknown < 0; }

    /// The characters that are tokens, in the order of their ids.
    std::vector<char32_t> code_points() const;

    const CharToken& token(int32_t id) const;
    CharModel model() const { return {tokens_, specials()}; }

    /// The vocabulary as model files spell it, SentencePiece style: a character is its UTF-8 text, a space "▁" (U+2581). A
    /// real U+2581 is then spelled "<U+2581>" and an id without a token "[PAD7]", or with more brackets around it, because
    /// llama.cpp refuses a file in which two tokens are spelled alike.
    std::vector<std::string> token_strings() const;

private:
    static constexpr uint32_t kPage = 256;  // the table's second level: ids of 256 neighbouring code points

    void add_character(int32_t id);
    /// Takes a token and the bytes of the text that it is of.
    template <class Take>
    void each_token(std::string_view text, const EncodeOptions& options, const Take& take) const;
    template <class Take>
    void each_character(std::string_view text, size_t begin, size_t end, const EncodeOptions& options,
                        const Take& take) const;

    std::vector<CharToken> tokens_;
    std::array<uint16_t, kCodePointLimit / kPage> page_of_{};  // page 0 is the one without any known character
    std::vector<int32_t> ids_;
    std::array<AddedTokens, 2> longer_;  // tokens of several characters and marks; those without the marks
};

}  // namespace nib
