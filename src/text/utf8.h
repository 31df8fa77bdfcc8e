// UTF-8 by code point: decoding, checking, and streaming without splitting a character.
//
// "Malformed" is RFC 3629's: overlong forms, surrogates, anything above U+10FFFF, stray and missing continuation bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace nib {

/// One past the last Unicode code point.
inline constexpr char32_t kCodePointLimit = 0x110000;

/// What stands for text that cannot be read (U+FFFD).
inline constexpr char32_t kReplacement = 0xFFFD;

/// Whether `code` can be written in UTF-8: below the limit and not a surrogate.
constexpr bool is_code_point(char32_t code) { return code < kCodePointLimit && (code < 0xD800 || code > 0xDFFF); }

/// One character of a text and the number of bytes it takes (1 to 4); length 0 where there is none (malformed or the end).
struct Decoded {
    char32_t code;
    int length;
};

/// `decode_utf8` without the fast path for ASCII.
Decoded decode_multibyte(std::string_view text, size_t at);

/// The character that begins at byte `at`.
inline Decoded decode_utf8(std::string_view text, size_t at) {
    if (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) return {static_cast<unsigned char>(text[at]), 1};
    return decode_multibyte(text, at);
}

/// Whether the 8 bytes at `bytes` are all ASCII.
inline bool ascii8(const char* bytes) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    return (word & 0x8080808080808080u) == 0;
}

/// Whether the text is one character, and nothing else.
inline bool is_character(std::string_view text) {
    return !text.empty() && static_cast<size_t>(decode_utf8(text, 0).length) == text.size();
}

/// Byte offset of the first malformed sequence, npos if all of the text is UTF-8.
size_t find_invalid(std::string_view text);

/// Byte offset of the character `count` characters after the one that begins at byte `at`; the text is known to be UTF-8.
size_t skip_characters(std::string_view text, size_t at, size_t count);

/// Appends one character; what is not a code point becomes U+FFFD.
void append_utf8(std::string& text, char32_t code);

/// How many columns of a terminal the text takes: 2 for each wide character, such as a Chinese one.
size_t display_width(std::string_view text);

/// A character for a message: `"é" (U+00E9)`, and only `U+000A` for what cannot be seen or would disturb a terminal.
std::string describe(char32_t code);

/// Turns pieces of bytes, cut anywhere, into whole characters: a terminal never sees half of one, and never sees malformed
/// UTF-8 (each malformed sequence becomes one U+FFFD, as in the WHATWG decoder).
class Utf8Streamer {
public:
    /// The characters that are complete with this piece.
    std::string push(std::string_view piece);
    /// Ends the text: U+FFFD if it stopped inside a character, else nothing. The streamer can be used again.
    std::string finish();

private:
    std::string pending_;  // the beginning of one character, at most 3 bytes
};

}  // namespace nib
