// Tokens as numbers: how users write them, and what a model without a tokenizer reads and writes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace nib {

/// Whole numbers between blanks, line ends or commas: "1 2 3". Error for anything else and for ids outside a vocabulary of
/// `vocab` tokens.
std::vector<int32_t> parse_token_numbers(std::string_view text, int64_t vocab);

/// The same on one line: "1 2 3".
std::string token_numbers(std::span<const int32_t> ids);

/// Stands in for the tokenizer of a model that has none: there is no text that it could encode, and tokens are shown as
/// numbers.
class TokenNumbers : public Tokenizer {
public:
    /// `end`: the token that ends a text; -1: none.
    explicit TokenNumbers(int32_t vocab, int32_t end = -1) : Tokenizer({.end = end}), vocab_(vocab) {}

    /// Error that says what to do instead, unless the text is empty.
    std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const override;
    /// The number after a blank, of a sequence without the first blank.
    std::string decode(int32_t id) const override { return " " + std::to_string(id); }
    std::string decode(std::span<const int32_t> ids) const override { return token_numbers(ids); }
    int32_t vocab_size() const override { return vocab_; }
    const char* kind() const override { return "none"; }

private:
    int32_t vocab_;
};

}  // namespace nib
