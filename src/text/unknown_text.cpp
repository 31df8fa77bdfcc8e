#include "text/unknown_text.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "text/utf8.h"

namespace nib {

std::optional<unsigned char> fallback_byte(std::string_view token) {
    unsigned byte = 0;
    if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
    const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
    if (error != std::errc() || end != token.data() + 5) return std::nullopt;
    return static_cast<unsigned char>(byte);
}

std::string fallback_token(unsigned char byte) { return strprintf("<0x%02X>", static_cast<unsigned>(byte)); }

UnknownText::UnknownText(const TokenTable& table, const TokenizerSpec& spec) : unknown_(spec.specials.unknown) {
    for (size_t byte = 0; byte < byte_ids_.size(); ++byte)
        byte_ids_[byte] = spec.model.byte_fallback ? table.find(fallback_token(static_cast<unsigned char>(byte))) : -1;
}

bool UnknownText::add_bytes(std::string_view text, std::vector<int32_t>& ids) const {
    const auto id_of = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
    if (!std::all_of(text.begin(), text.end(), [&](char byte) { return id_of(byte) >= 0; })) return false;
    for (const char byte : text) ids.push_back(id_of(byte));
    return true;
}

int32_t UnknownText::id(std::string_view text, const WordModel::Work& work) const {
    if (unknown_ >= 0 || work.skip_unknown) return unknown_;
    const Decoded first = decode_utf8(text, 0);
    fail_with(Remedy::SkipUnknown, "the model has no token for %s, and none for unknown text",
              first.length > 0
                  ? describe(first.code).c_str()
                  : strprintf("byte 0x%02X", static_cast<unsigned>(static_cast<unsigned char>(text[0]))).c_str());
}

}  // namespace nib
