#include "text/python_text.h"

#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

bool is_python_space(char32_t code) { return is_whitespace(code) || (code >= 0x1C && code <= 0x1F); }

}  // namespace

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

}  // namespace nib
