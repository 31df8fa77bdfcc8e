// What byte-pair encoding makes of characters that have no token.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/word_model.h"

namespace nib {

/// The byte that a token of byte_fallback ("<0x0A>") stands for; nothing for any other.
std::optional<unsigned char> fallback_byte(std::string_view token);
/// The token of a byte, which the vocabulary may not have.
std::string fallback_token(unsigned char byte);

class UnknownText {
public:
    UnknownText(const TokenTable& table, const TokenizerSpec& spec);

    /// Appends the tokens of the bytes; false, with nothing appended, if one has none or the spec does not want them.
    bool add_bytes(std::string_view text, std::vector<int32_t>& ids) const;

    /// The token for unknown text; -1 to leave it out. Error, which names the character that `text` begins with, without
    /// such a token.
    int32_t id(std::string_view text, const WordModel::Work& work) const;

private:
    int32_t unknown_;
    std::array<int32_t, 256> byte_ids_;  // -1: no token
};

}  // namespace nib
