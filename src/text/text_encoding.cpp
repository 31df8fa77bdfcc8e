#include "text/text_encoding.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr size_t kWindow = 4096;  // bytes that tell

bool is_control(char byte) {
    return static_cast<unsigned char>(byte) < 0x20 && byte != '\t' && byte != '\n' && byte != '\r';
}

// How many of the bytes at `first`, `first + step`, ... fulfil a condition, in percent.
template <class Condition>
size_t percent(std::string_view bytes, size_t first, size_t step, Condition condition) {
    size_t count = 0, all = 0;
    for (size_t at = first; at < bytes.size(); at += step, ++all) count += condition(bytes[at]);
    return all == 0 ? 0 : 100 * count / all;
}

// The upper bytes of UTF-32 are 0 and at most 0x10, and a text is not all U+0000.
bool is_utf32(std::string_view bytes, size_t highest, size_t upper, size_t low) {
    return percent(bytes, highest, 4, [](char b) { return b == 0; }) == 100 &&
           percent(bytes, upper, 4, [](char b) { return static_cast<unsigned char>(b) <= 0x10; }) == 100 &&
           percent(bytes, low, 4, [](char b) { return b != 0; }) >= 50;
}

// The upper bytes of an alphabet's UTF-16 are control characters: 0 for Latin letters, 4 for Cyrillic ones, 6 for Arabic.
bool is_utf16(std::string_view bytes, size_t upper, size_t low) {
    return percent(bytes, upper, 2, is_control) >= 70 && percent(bytes, low, 2, is_control) <= 10;
}

}  // namespace

const char* find_wide_encoding(std::string_view bytes) {
    using namespace std::string_view_literals;
    if (bytes.starts_with("\xFF\xFE\0\0"sv)) return "UTF-32LE";
    if (bytes.starts_with("\0\0\xFE\xFF"sv)) return "UTF-32BE";
    if (bytes.starts_with("\xFF\xFE"sv)) return "UTF-16LE";
    if (bytes.starts_with("\xFE\xFF"sv)) return "UTF-16BE";
    bytes = bytes.substr(0, std::min(bytes.size(), kWindow) / 4 * 4);
    if (bytes.empty()) return nullptr;
    if (is_utf32(bytes, 3, 2, 0)) return "UTF-32LE";
    if (is_utf32(bytes, 0, 1, 3)) return "UTF-32BE";
    if (is_utf16(bytes, 1, 0)) return "UTF-16LE";
    if (is_utf16(bytes, 0, 1)) return "UTF-16BE";
    return nullptr;
}

void refuse_wide_encoding(std::string_view text, size_t at, const std::string& name, uint64_t before) {
    if (const char* encoding = find_wide_encoding(text.substr(at)))
        fail("%s: is %s from byte offset %llu on, not UTF-8; convert it with iconv -f %s -t UTF-8", printable(name).c_str(),
             encoding, static_cast<unsigned long long>(before + at), encoding);
}

void refuse_appended(std::string_view text, size_t at, const std::string& name, uint64_t before) {
    if (at > 0) refuse_wide_encoding(text, at - 1, name, before);
    refuse_wide_encoding(text, at, name, before);
}

void refuse_malformed(std::string_view text, size_t at, const std::string& name, uint64_t before) {
    refuse_wide_encoding(text, at, name, before);
    fail(
        "%s: not UTF-8 text: malformed at byte offset %llu (byte 0x%02X); convert it to UTF-8 first, for example with "
        "iconv "
        "-f ENCODING -t UTF-8",
        printable(name).c_str(), static_cast<unsigned long long>(before + at),
        static_cast<unsigned>(static_cast<unsigned char>(text[at])));
}

void check_text(std::string_view text, const std::string& name, uint64_t before) {
    refuse_wide_encoding(text, 0, name, before);
    if (const size_t at = find_invalid(text); at != std::string_view::npos) refuse_malformed(text, at, name, before);
    if (const size_t at = text.find('\0'); at != std::string_view::npos)
        fail("%s: not text: a NUL at byte offset %llu", printable(name).c_str(),
             static_cast<unsigned long long>(before + at));
}

std::string_view without_mark(std::string_view text, const std::string& name) {
    refuse_wide_encoding(text, 0, name);
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    return text;
}

}  // namespace nib
