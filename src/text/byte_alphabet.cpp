#include "text/byte_alphabet.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace nib {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr unsigned kFirstMoved = 0x100, kMoved = 68, kAlphabetEnd = kFirstMoved + kMoved;

struct Alphabet {
    std::array<uint16_t, 256> code_of{};          // byte -> code point
    std::array<int16_t, kAlphabetEnd> byte_of{};  // code point -> byte, -1 for none
};

constexpr Alphabet make_alphabet() {
    Alphabet alphabet;
    for (int16_t& byte : alphabet.byte_of) byte = -1;
    unsigned moved = kFirstMoved;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const unsigned code = stands_for_itself(byte) ? byte : moved++;
        alphabet.code_of[byte] = static_cast<uint16_t>(code);
        alphabet.byte_of[code] = static_cast<int16_t>(byte);
    }
    return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();
static_assert(kAlphabet.code_of[' '] == 0x120 && kAlphabet.code_of[0xAD] == kAlphabetEnd - 1);

}  // namespace

std::string spell_bytes(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    for (const char byte : bytes) {
        const unsigned code = kAlphabet.code_of[static_cast<unsigned char>(byte)];
        if (code < 0x80) {
            text += static_cast<char>(code);
        } else {
            text += static_cast<char>(0xC0 | code >> 6);
            text += static_cast<char>(0x80 | (code & 0x3F));
        }
    }
    return text;
}

bool append_spelled(std::string& bytes, std::string_view text) {
    const size_t before = bytes.size();
    for (size_t at = 0; at < text.size(); ++at) {
        unsigned code = static_cast<unsigned char>(text[at]);
        if (code >= 0xC2 && code <= 0xDF && at + 1 < text.size()) {  // two bytes: U+0080 to U+07FF
            const unsigned tail = static_cast<unsigned char>(text[++at]);
            code = (tail & 0xC0) == 0x80 ? (code & 0x1F) << 6 | (tail & 0x3F) : kAlphabetEnd;
        } else if (code >= 0x80) {
            code = kAlphabetEnd;
        }
        if (code >= kAlphabetEnd || kAlphabet.byte_of[code] < 0) {
            bytes.resize(before);
            return false;
        }
        bytes += static_cast<char>(kAlphabet.byte_of[code]);
    }
    return true;
}

}  // namespace nib
