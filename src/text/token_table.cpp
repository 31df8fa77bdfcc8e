#include "text/token_table.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <numeric>
#include <unordered_set>

#include "core/error.h"
#include "text/byte_alphabet.h"

namespace nib {

TokenTable::TokenTable(std::span<const TokenSpec> tokens, bool byte_level) : byte_level_(byte_level) {
    if (tokens.empty()) fail("the vocabulary is empty");
    if (tokens.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) fail("the vocabulary is too large");
    const size_t bytes = std::accumulate(tokens.begin(), tokens.end(), size_t{0},
                                         [](size_t sum, const auto& t) { return sum + t.text.size(); });
    if (bytes > std::numeric_limits<uint32_t>::max()) fail("the vocabulary is too large");
    slots_.assign(std::bit_ceil(2 * tokens.size()), -1);
    blob_.reserve(bytes);
    offsets_.reserve(tokens.size() + 1);
    kinds_.reserve(tokens.size());
    offsets_.push_back(0);
    std::unordered_set<std::string_view> others;  // not in slots_
    for (size_t i = 0; i < tokens.size(); ++i) {
        const TokenSpec& token = tokens[i];
        const auto id = static_cast<int32_t>(i);
        const size_t begin = blob_.size();
        bool found = false;
        if (token.type != TokenType::Unused) {
            const bool spelled = byte_level && token.in_vocabulary && append_spelled(blob_, token.text);
            if (!spelled) blob_ += token.text;
            found = spelled || (token.in_vocabulary && !byte_level);
            const auto key = std::string_view(blob_).substr(begin);
            int32_t* const slot = found ? &slots_[slot_for(key)] : nullptr;
            if (found ? *slot >= 0 : !others.insert(token.text).second)
                fail("the vocabulary is damaged: token %zu is \"%s\", and so is one before it", i,
                     printable(token.text, 60).c_str());
            if (found) *slot = id;
            if (found) longest_ = std::max(longest_, key.size());
            if (token.is_added() && key != token.text) texts_[id] = token.text;
        }
        offsets_.push_back(static_cast<uint32_t>(blob_.size()));
        kinds_.push_back(
            {token.type, token.normalized, token.lstrip, token.rstrip, token.single_word, token.in_vocabulary, found});
    }
}

size_t TokenTable::slot_for(std::string_view text) const {
    const size_t mask = slots_.size() - 1;
    size_t at = std::hash<std::string_view>()(text) & mask;
    while (slots_[at] >= 0 && key(slots_[at]) != text) at = (at + 1) & mask;
    return at;
}

void TokenTable::check(int32_t id) const {
    if (id < 0 || id >= size()) fail("token %d is outside the vocabulary of %d tokens", id, size());
}

std::string_view TokenTable::key(int32_t id) const {
    const auto i = static_cast<size_t>(id);
    return std::string_view(blob_).substr(offsets_[i], offsets_[i + 1] - offsets_[i]);
}

std::string_view TokenTable::meaning(int32_t id) const {
    check(id);
    if (!texts_.empty()) {
        if (const auto text = texts_.find(id); text != texts_.end()) return text->second;
    }
    return key(id);
}

TokenType TokenTable::type(int32_t id) const {
    check(id);
    return kinds_[static_cast<size_t>(id)].type;
}

std::string TokenTable::spelled(int32_t id) const {
    return byte_level_ && is_found(id) ? spell_bytes(key(id)) : std::string(key(id));
}

TokenSpec TokenTable::spec(int32_t id) const {
    const Kind& kind = kinds_[static_cast<size_t>(id)];
    const auto text = texts_.find(id);
    return {text != texts_.end() ? text->second : spelled(id),
            kind.type,
            kind.normalized,
            kind.lstrip,
            kind.rstrip,
            kind.single_word,
            kind.in_vocabulary};
}

}  // namespace nib
