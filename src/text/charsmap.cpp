#include "text/charsmap.h"

#include <algorithm>

#include "core/error.h"

namespace nib {
namespace {

constexpr size_t kUnit = 4;

uint32_t read_u32(std::string_view bytes, size_t at) {
    uint32_t value = 0;
    for (size_t i = kUnit; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

// The parts of a unit: https://github.com/s-yata/darts-clone
constexpr uint32_t kLeaf = 1u << 31;
bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t label(uint32_t unit) { return unit & (kLeaf | 0xFF); }
uint32_t offset(uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }

}  // namespace

Charsmap::Charsmap(std::string_view bytes) {
    const size_t size = bytes.size() < kUnit ? 0 : read_u32(bytes, 0);
    if (size == 0 || size % kUnit != 0 || size >= bytes.size() - kUnit) fail("the charsmap is damaged");
    units_.resize(size / kUnit);
    for (size_t i = 0; i < units_.size(); ++i) units_[i] = read_u32(bytes, kUnit + i * kUnit);
    texts_ = bytes.substr(kUnit + size);
    for (const uint32_t unit : units_)
        if ((unit & kLeaf) != 0 && (unit & ~kLeaf) >= texts_.size()) fail("the charsmap is damaged");
    for (unsigned byte = 0; byte < 256; ++byte)
        begins_[byte] = step(offset(units_[0]), static_cast<unsigned char>(byte)).has_value();
}

std::optional<uint32_t> Charsmap::step(uint32_t at, unsigned char byte) const {
    at ^= byte;
    if (at >= units_.size() || label(units_[at]) != byte) return std::nullopt;
    return at;
}

std::optional<std::string_view> Charsmap::text_at(uint32_t at) const {
    if (at >= units_.size() || (units_[at] & kLeaf) == 0) return std::nullopt;
    const std::string_view rest = std::string_view(texts_).substr(units_[at] & ~kLeaf);
    return rest.substr(0, rest.find('\0'));
}

std::optional<Charsmap::Match> Charsmap::longest(std::string_view text) const {
    std::optional<Match> best;
    if (empty() || text.empty() || !begins(text[0])) return best;
    uint32_t at = offset(units_[0]);
    for (size_t i = 0; i < text.size(); ++i) {
        const auto next = step(at, static_cast<unsigned char>(text[i]));
        if (!next) break;
        at = *next ^ offset(units_[*next]);
        if (!has_leaf(units_[*next])) continue;
        if (const auto found = text_at(at)) best = Match{i + 1, *found};
    }
    return best;
}

std::optional<Charsmap::Match> Charsmap::shortest(std::string_view text) const {
    if (empty()) return std::nullopt;
    uint32_t at = offset(units_[0]);
    for (size_t i = 0; i < text.size() && text[i] != '\0'; ++i) {
        const auto next = step(at, static_cast<unsigned char>(text[i]));
        if (!next) break;
        at = *next ^ offset(units_[*next]);
        if (!has_leaf(units_[*next])) continue;
        if (const auto found = text_at(at)) return Match{i + 1, *found};
    }
    return std::nullopt;
}

}  // namespace nib
