#include "core/error.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace nib {
namespace {

std::string format_arguments(const char* format, va_list arguments) {
    va_list copy;
    va_copy(copy, arguments);
    const int length = std::vsnprintf(nullptr, 0, format, copy);
    va_end(copy);
    std::string text(length > 0 ? static_cast<size_t>(length) : 0, '\0');
    std::vsnprintf(text.data(), text.size() + 1, format, arguments);
    return text;
}

// Length of the well-formed UTF-8 sequence at `at`, 0 if there is none (RFC 3629).
size_t utf8_length(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
    const auto tail = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
    const unsigned lead = byte(at), next = byte(at + 1);
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return tail(at + 1) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        const bool overlong = lead == 0xE0 && next < 0xA0, surrogate = lead == 0xED && next > 0x9F;
        return tail(at + 1) && tail(at + 2) && !overlong && !surrogate ? 3 : 0;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        const bool overlong = lead == 0xF0 && next < 0x90, beyond = lead == 0xF4 && next > 0x8F;
        return tail(at + 1) && tail(at + 2) && tail(at + 3) && !overlong && !beyond ? 4 : 0;
    }
    return 0;
}

}  // namespace

// Only the function that has the arguments can take them.
#define NIB_FORMAT_TEXT                                           \
    va_list arguments;                                            \
    va_start(arguments, format);                                  \
    const std::string text = format_arguments(format, arguments); \
    va_end(arguments)

std::string strprintf(const char* format, ...) {
    NIB_FORMAT_TEXT;
    return text;
}

void fail(const char* format, ...) {
    NIB_FORMAT_TEXT;
    throw Error(text);
}

void fail_with(Remedy remedy, const char* format, ...) {
    NIB_FORMAT_TEXT;
    throw Error(text, remedy);
}

void fail_usage(const char* format, ...) {
    NIB_FORMAT_TEXT;
    throw UsageError(text);
}

void fail_option(const char* option, const char* format, ...) {
    NIB_FORMAT_TEXT;
    throw Error(option, text);
}

void fail_usage_option(const char* option, const char* format, ...) {
    NIB_FORMAT_TEXT;
    throw UsageError(option, text);
}

#undef NIB_FORMAT_TEXT

std::string printable(std::string_view text, size_t limit) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        if (out.size() >= limit) return out + "...";
        const size_t length = utf8_length(text, i);
        const auto byte = static_cast<unsigned char>(text[i]);
        if (length == 0 || byte < 0x20 || byte == 0x7F) {
            out += strprintf("\\x%02X", static_cast<unsigned>(byte));
            ++i;
        } else {
            out.append(text.substr(i, length));
            i += length;
        }
    }
    return out;
}

std::string human_bytes(double bytes) {
    static const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 6) bytes /= 1024, ++unit;
    return unit == 0 ? strprintf("%.0f B", bytes) : strprintf("%.1f %s", bytes, units[unit]);
}

std::string counted(int64_t count, const char* noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

void check_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "nib: internal error: CHECK(%s) failed at %s:%d\n", condition, file, line);
    std::abort();
}

}  // namespace nib
