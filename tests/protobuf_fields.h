// Fields of Protocol Buffers' messages as bytes, and small models of SentencePiece made of them.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace nib::test {

inline std::string from_hexadecimal(const std::string& digits) {
    std::string bytes;
    for (size_t i = 0; i < digits.size(); i += 2) bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
    return bytes;
}

inline std::string varint(uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
    return bytes + static_cast<char>(value);
}
inline std::string number_field(uint64_t field, uint64_t value) { return varint(field << 3) + varint(value); }
inline std::string bytes_field(uint64_t field, const std::string& bytes) {
    return varint(field << 3 | 2) + varint(bytes.size()) + bytes;
}
inline std::string float_field(uint64_t field, float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    std::string bytes = varint(field << 3 | 5);
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift);
    return bytes;
}

struct Piece {
    std::string text;
    float score = 0;
    int type = 1;  // 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
};

inline std::string piece_field(const Piece& piece) {
    return bytes_field(
        1, bytes_field(1, piece.text) + float_field(2, piece.score) + number_field(3, static_cast<uint64_t>(piece.type)));
}

// A tokenizer.model of BPE; spaces stay as they are unless `normalizer` has other fields.
inline std::string model_file(const std::vector<Piece>& pieces,
                              const std::string& normalizer = number_field(3, 0) + number_field(4, 0),
                              const std::string& trainer = number_field(3, 2)) {
    std::string file;
    for (const Piece& piece : pieces) file += piece_field(piece);
    return file + bytes_field(2, trainer) + bytes_field(3, normalizer);
}

}  // namespace nib::test
