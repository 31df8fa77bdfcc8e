// Texts come in UTF-8. What is in another encoding of Unicode is recognized and refused with what to do, since bytes of
// UTF-16 may well be UTF-8, too: of ASCII text every other one is NUL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nib {

/// What begins a text in UTF-8, written by some editors: U+FEFF, which is no part of the text.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// "UTF-16LE", "UTF-16BE", "UTF-32LE" or "UTF-32BE", as iconv calls them, if `bytes` look like such text, also without a
/// byte order mark; nullptr otherwise. Looks at the first few thousand bytes.
const char* find_wide_encoding(std::string_view bytes);

/// Error when find_wide_encoding() finds one at byte `at` of the text called `name`; `before`: bytes of it that come before
/// `text`.
void refuse_wide_encoding(std::string_view text, size_t at, const std::string& name, uint64_t before = 0);

/// The same for a text whose first NUL is at byte `at`: a program may have appended UTF-16 to a text in UTF-8, and the NUL
/// is then the second byte of a letter, or the first.
void refuse_appended(std::string_view text, size_t at, const std::string& name, uint64_t before = 0);

/// Error about the text called `name`, which at byte `at` is not UTF-8.
[[noreturn]] void refuse_malformed(std::string_view text, size_t at, const std::string& name, uint64_t before = 0);

/// Error unless all of the text called `name` is UTF-8 without NULs; `before`: bytes of the file that come before it.
void check_text(std::string_view text, const std::string& name, uint64_t before);

/// A text as it comes from a file or a pipe called `name`, without its byte order mark. Error when it is not UTF-8 by
/// find_wide_encoding(); it may have other bytes that are not.
std::string_view without_mark(std::string_view text, const std::string& name);

}  // namespace nib
