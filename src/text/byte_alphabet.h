// GPT-2's alphabet: every byte as one printable character, so that tokens of any bytes can stand in JSON and text files
// (Radford et al. 2019). Printable Latin-1 bytes stand for themselves; the 68 others are U+0100, U+0101, ... in the order
// of their values: a space is "Ġ", a line feed "Ċ".
#pragma once

#include <string>
#include <string_view>

namespace nib {

/// The spelling of these bytes.
std::string spell_bytes(std::string_view bytes);

/// Appends the bytes that `text` spells to `bytes`. False, with nothing appended, if a character is not in the alphabet.
bool append_spelled(std::string& bytes, std::string_view text);

}  // namespace nib
