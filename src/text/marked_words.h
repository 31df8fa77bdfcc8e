// Words in a text of SentencePiece's, which begin with U+2581.
#pragma once

#include <cstddef>
#include <string_view>

namespace nib {

/// Where a mark follows another character, from byte `from` on; npos if there is none.
size_t find_marked_word(std::string_view text, size_t from);

}  // namespace nib
