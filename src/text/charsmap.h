// SentencePiece's table of what characters are normalized to (`precompiled_charsmap`): nmt_nfkc and the like. It holds a
// double-array trie as Darts-clone builds it and the texts that its values lead to, each up to a NUL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

class Charsmap {
public:
    /// What the beginning of a text becomes.
    struct Match {
        size_t length;  // of that beginning
        std::string_view text;
    };

    /// A table that changes nothing.
    Charsmap() = default;
    /// Error when it is damaged.
    explicit Charsmap(std::string_view bytes);

    bool empty() const { return units_.empty(); }
    /// Whether a text that begins with this byte may change.
    bool begins(char byte) const { return begins_[static_cast<unsigned char>(byte)]; }

    /// The longest beginning of the text that is in the table, which SentencePiece takes.
    std::optional<Match> longest(std::string_view text) const;
    /// The shortest, which `tokenizers` takes.
    std::optional<Match> shortest(std::string_view text) const;

private:
    // The number of the unit after a byte; the unit itself tells whether it is there.
    std::optional<uint32_t> step(uint32_t at, unsigned char byte) const;
    std::optional<std::string_view> text_at(uint32_t at) const;

    std::vector<uint32_t> units_;
    std::string texts_;
    bool begins_[256] = {};
};

}  // namespace nib
