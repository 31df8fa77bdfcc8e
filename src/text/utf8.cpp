#include "text/utf8.h"

#include <utf8proc.h>

#include "core/error.h"

namespace nib {
namespace {

unsigned byte_at(std::string_view text, size_t at) { return static_cast<unsigned char>(text[at]); }

bool is_continuation(std::string_view text, size_t at) { return (byte_at(text, at) & 0xC0u) == 0x80u; }

// How many of the 8 bytes at `bytes` are continuation bytes (10xxxxxx).
size_t continuations8(const char* bytes) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    const uint64_t marks = (word & ~(word << 1) & 0x8080808080808080u) >> 7;
    return (marks * 0x0101010101010101u) >> 56;
}

// How many bytes from `at` on are the beginning of some well-formed sequence (0 if the first one begins none).
size_t prefix_length(std::string_view text, size_t at) {
    const unsigned lead = byte_at(text, at);
    if (lead < 0xC2 || lead > 0xF4) return 0;
    const size_t whole = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (at + 1 == text.size() || !is_continuation(text, at + 1)) return 1;
    const unsigned second = byte_at(text, at + 1);
    const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
    const bool outside = (lead == 0xED && second > 0x9F) || (lead == 0xF4 && second > 0x8F);
    if (overlong || outside) return 1;
    size_t length = 2;
    while (length < whole && at + length < text.size() && is_continuation(text, at + length)) ++length;
    return length;
}

// Whether a terminal shows something of its own for this character, on one line, and nothing else happens.
bool is_visible(char32_t code) {
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
        case UTF8PROC_CATEGORY_CN:
        case UTF8PROC_CATEGORY_MN:
        case UTF8PROC_CATEGORY_MC:
        case UTF8PROC_CATEGORY_ME:
        case UTF8PROC_CATEGORY_ZS:
        case UTF8PROC_CATEGORY_ZL:
        case UTF8PROC_CATEGORY_ZP:
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_CO: return code == U' ';
        default: return true;
    }
}

}  // namespace

Decoded decode_multibyte(std::string_view text, size_t at) {
    if (at >= text.size()) return {kReplacement, 0};
    utf8proc_int32_t code = 0;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at;
    const auto length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size() - at), &code);
    if (length <= 0) return {kReplacement, 0};
    return {static_cast<char32_t>(code), static_cast<int>(length)};
}

size_t find_invalid(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        if (text.size() - at >= 8 && ascii8(text.data() + at)) {
            at += 8;
            continue;
        }
        const Decoded next = decode_utf8(text, at);
        if (next.length == 0) return at;
        at += static_cast<size_t>(next.length);
    }
    return std::string_view::npos;
}

size_t skip_characters(std::string_view text, size_t at, size_t count) {
    // A character is counted at its first byte, so `at` may come to rest inside one until the second loop ends.
    while (count >= 8 && text.size() - at >= 8) {
        count -= 8 - continuations8(text.data() + at);
        at += 8;
    }
    for (; at < text.size(); ++at) {
        if (is_continuation(text, at)) continue;
        if (count == 0) break;
        --count;
    }
    return at;
}

void append_utf8(std::string& text, char32_t code) {
    utf8proc_uint8_t bytes[4];
    const auto length =
        utf8proc_encode_char(static_cast<utf8proc_int32_t>(is_code_point(code) ? code : kReplacement), bytes);
    text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

size_t display_width(std::string_view text) {
    size_t width = 0;
    for (size_t at = 0; at < text.size();) {
        const Decoded next = decode_utf8(text, at);
        width += static_cast<size_t>(utf8proc_charwidth(static_cast<utf8proc_int32_t>(next.code)));
        at += static_cast<size_t>(next.length > 0 ? next.length : 1);
    }
    return width;
}

std::string describe(char32_t code) {
    const std::string number = strprintf("U+%04X", static_cast<unsigned>(code));
    if (!is_code_point(code) || !is_visible(code)) return number;
    std::string text = "\"";
    append_utf8(text, code);
    return text + "\" (" + number + ")";
}

std::string Utf8Streamer::push(std::string_view piece) {
    pending_.append(piece);
    std::string out;
    size_t at = 0;
    while (at < pending_.size()) {
        const Decoded next = decode_utf8(pending_, at);
        if (next.length > 0) {
            out.append(pending_, at, static_cast<size_t>(next.length));
            at += static_cast<size_t>(next.length);
            continue;
        }
        const size_t begun = prefix_length(pending_, at);
        if (begun > 0 && at + begun == pending_.size()) break;  // the rest may still come
        append_utf8(out, kReplacement);
        at += begun > 0 ? begun : 1;
    }
    pending_.erase(0, at);
    return out;
}

std::string Utf8Streamer::finish() {
    std::string out;
    if (!pending_.empty()) append_utf8(out, kReplacement);
    pending_.clear();
    return out;
}

}  // namespace nib
