#include "text/python_text.h"

#include <algorithm>

#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

// The character at byte `at`, which is no further than the end; a byte that is not UTF-8 is one of its own.
Decoded character_at(std::string_view text, size_t at) {
    const Decoded next = decode_utf8(text, at);
    return {next.code, std::max(next.length, 1)};
}

}  // namespace

bool is_python_space(char32_t code) { return is_whitespace(code) || (code >= 0x1C && code <= 0x1F); }

std::string_view python_strip(std::string_view text, bool left, bool right) {
    for (Decoded next; left && (next = decode_utf8(text, 0)).length > 0 && is_python_space(next.code);)
        text.remove_prefix(static_cast<size_t>(next.length));
    while (right && !text.empty()) {
        size_t begin = text.size() - 1;
        while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0u) == 0x80u) --begin;
        const Decoded last = decode_utf8(text, begin);
        if (begin + static_cast<size_t>(last.length) != text.size() || !is_python_space(last.code)) break;
        text.remove_suffix(text.size() - begin);
    }
    return text;
}

std::vector<std::string_view> python_split(std::string_view text) {
    std::vector<std::string_view> words;
    size_t begin = 0;
    const auto finish = [&](size_t end) {
        if (end > begin) words.push_back(text.substr(begin, end - begin));
    };
    for (size_t at = 0; at < text.size();) {
        const Decoded next = character_at(text, at);
        const size_t after = at + static_cast<size_t>(next.length);
        if (is_python_space(next.code)) {
            finish(at);
            begin = after;
        }
        at = after;
    }
    finish(text.size());
    return words;
}

std::string python_lower(std::string_view text) {
    std::string lower;
    lower.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const Decoded next = decode_utf8(text, at);
        if (next.length == 0)
            lower += text[at];
        else
            append_lower(lower, next.code);
        at += static_cast<size_t>(std::max(next.length, 1));
    }
    return lower;
}

std::vector<std::string_view> python_characters(std::string_view text) {
    std::vector<std::string_view> characters;
    for (size_t at = 0; at < text.size();) {
        const auto length = static_cast<size_t>(character_at(text, at).length);
        characters.push_back(text.substr(at, length));
        at += length;
    }
    return characters;
}

}  // namespace nib
