// Finding tokens that stand for themselves ("<|endoftext|>") in a text, before anything else is done with it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nib {

/// A token to find, and what else it takes.
struct AddedToken {
    std::string text;
    int32_t id;
    bool special = false;      // can be told to be text like any other
    bool lstrip = false;       // takes the white space before it
    bool rstrip = false;       // and after it
    bool single_word = false;  // not where a letter, digit or underscore touches it
};

class AddedTokens {
public:
    /// Of several with the same text the first counts. Those without text are left out.
    explicit AddedTokens(std::vector<AddedToken> tokens);

    bool empty() const { return tokens_.empty(); }

    /// Cuts a text into tokens and what lies between them: of several tokens that begin at the same byte the longest
    /// counts, even if it is passed over then because it is no word of its own or, without `special` and where it touches
    /// one of the parts `verbatim` of the text (in order), a special one. Calls `part` for each part that is not empty,
    /// with the token's id or -1.
    void split(std::string_view text, bool special, const std::function<void(std::string_view part, int32_t id)>& part,
               std::span<const std::string_view> verbatim = {}) const;

private:
    struct Found {
        size_t at;
        const AddedToken* token;  // nullptr: there is none
    };
    struct Range {
        size_t first = 0, last = 0;
    };

    Found find(std::string_view text, size_t from) const;
    const AddedToken* match(std::string_view text, size_t at) const;

    std::vector<AddedToken> tokens_;  // in the order of their bytes
    std::array<Range, 256> by_first_byte_{};
    int only_first_byte_ = -1;  // when all begin alike
};

}  // namespace nib
