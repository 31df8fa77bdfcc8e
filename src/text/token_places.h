// Which bytes of a text each of its tokens is of, though the text was normalized before it was cut into them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalizer.h"
#include "text/tokenizer.h"

namespace nib {

/// A token as it may stand in a word; none: it stands for what has no token, or for a byte of it.
using TokenInWord = std::optional<std::string_view>;

/// Takes the tokens of a text from front to back.
class TokenPlaces {
public:
    /// The text, which is UTF-8, must outlive this.
    TokenPlaces(std::string_view text, const Normalizer& normalizer) : text_(text), normalizer_(normalizer) {}

    /// The next token is this part of the text.
    void add(std::string_view part) { put(part.data() - text_.data(), part.size()); }
    /// What follows is of this part of the text, which has become `normalized`; both outlive the calls that follow.
    void enter(std::string_view part, std::string_view normalized);
    /// The next token is this part of what was normalized.
    void add_normalized(std::string_view part);
    /// The next tokens are those of a word, a part of what was normalized or a copy, in which U+2581 may stand for a space.
    void add_word(std::string_view word, std::span<const TokenInWord> tokens);

    /// The places of all, as of Tokenizer::encode_placed().
    std::vector<PlacedTokens::Place> take();

private:
    using Place = PlacedTokens::Place;

    void put(std::ptrdiff_t begin, size_t size) {
        places_.push_back({static_cast<size_t>(begin), static_cast<size_t>(begin) + size});
    }
    void follow(std::string_view part);
    size_t find_word(std::string_view word) const;
    Place original(size_t begin, size_t end) const;

    std::string_view text_;
    const Normalizer& normalizer_;
    std::string_view normalized_;  // of the part entered last
    std::vector<Place> of_byte_;   // of each of its bytes: what of the text it comes from; empty: it is the text
    size_t part_ = 0;              // where that part begins in the text
    size_t cursor_ = 0;            // in what was normalized: behind the last word
    std::array<std::optional<std::string>, 128> of_ascii_;  // characters, normalized
    std::vector<Place> places_;
};

}  // namespace nib
