// Finding tokens that stand for themselves ("<|endoftext|>") in a text, before anything else is done with it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nib {

class AddedTokens {
public:
    struct Found {
        size_t at, length;  // length 0: there is none
        int32_t id;
    };

    /// Texts with their ids; none is empty, no two are alike.
    explicit AddedTokens(std::vector<std::pair<std::string, int32_t>> tokens);

    bool empty() const { return tokens_.empty(); }

    /// The first token in `text` from byte `from` on; of several that begin there the longest.
    Found find(std::string_view text, size_t from) const;

private:
    Found match(std::string_view text, size_t at) const;

    struct Range {
        size_t first = 0, last = 0;
    };
    std::vector<std::pair<std::string, int32_t>> tokens_;  // in the order of their bytes
    std::array<Range, 256> by_first_byte_{};
    int only_first_byte_ = -1;  // when all begin alike
};

}  // namespace nib
