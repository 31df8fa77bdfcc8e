// The tokenizer of character models: one token per Unicode code point, its id the rank among the model's code points.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/utf8.h"

namespace nib {

class CharTokenizer : public Tokenizer {
public:
    /// A tokenizer for these characters; throws Error unless they are code points in strictly ascending order, one at
    /// least.
    static CharTokenizer from_code_points(std::vector<char32_t> code_points);

    /// The inverse of `token_strings`, for a vocabulary read from a file; throws Error for anything else.
    static CharTokenizer from_token_strings(std::span<const std::string> strings);

    /// Ids of a text's characters; throws Error for malformed UTF-8 and for a character that the model does not know.
    std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const override;

    using Tokenizer::decode;
    std::string decode(int32_t id) const override;
    int32_t vocab_size() const override { return static_cast<int32_t>(code_points_.size()); }
    const char* kind() const override { return "char"; }
    /// A line feed, if the model knows it.
    int32_t first_token() const override { return id_of(U'\n') < 0 ? 0 : id_of(U'\n'); }

    /// The id of a character, -1 if the model does not know it.
    int32_t id_of(char32_t code) const {
        return code < kCodePointLimit ? ids_[page_of_[code / kPage] * kPage + code % kPage] : -1;
    }

    /// The characters in the order of their ids.
    const std::vector<char32_t>& code_points() const { return code_points_; }

    /// The vocabulary as model files spell it, SentencePiece style: each token its UTF-8 text, a space as "▁" (U+2581).
    /// A real U+2581 is then spelled "<U+2581>", because llama.cpp refuses a file in which two tokens are spelled alike.
    std::vector<std::string> token_strings() const;

private:
    static constexpr uint32_t kPage = 256;  // the table's second level: ids of 256 neighbouring code points

    explicit CharTokenizer(std::vector<char32_t> code_points);

    std::vector<char32_t> code_points_;
    std::array<uint16_t, kCodePointLimit / kPage> page_of_{};  // page 0 is the one without any known character
    std::vector<int32_t> ids_;
};

}  // namespace nib
