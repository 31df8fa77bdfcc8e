#include "text/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace nib {
namespace {

unsigned byte_at(std::string_view text, size_t at) { return static_cast<unsigned char>(text[at]); }

}  // namespace

AddedTokens::AddedTokens(std::vector<std::pair<std::string, int32_t>> tokens) : tokens_(std::move(tokens)) {
    std::sort(tokens_.begin(), tokens_.end());
    for (size_t i = 0; i < tokens_.size(); ++i) {
        CHECK(!tokens_[i].first.empty());
        Range& range = by_first_byte_[byte_at(tokens_[i].first, 0)];
        if (range.last == 0) range.first = i;
        range.last = i + 1;
    }
    if (tokens_.empty()) return;
    const unsigned first = byte_at(tokens_.front().first, 0);
    if (first == byte_at(tokens_.back().first, 0)) only_first_byte_ = static_cast<int>(first);
}

AddedTokens::Found AddedTokens::find(std::string_view text, size_t from) const {
    if (tokens_.empty()) return {text.size(), 0, -1};
    for (size_t at = from; at < text.size(); ++at) {
        if (only_first_byte_ >= 0) {
            const void* hit = std::memchr(text.data() + at, only_first_byte_, text.size() - at);
            if (hit == nullptr) break;
            at = static_cast<size_t>(static_cast<const char*>(hit) - text.data());
        }
        const Found found = match(text, at);
        if (found.length > 0) return found;
    }
    return {text.size(), 0, -1};
}

// Narrows the sorted tokens to those that agree with the text on ever more bytes; one that ends there comes first.
AddedTokens::Found AddedTokens::match(std::string_view text, size_t at) const {
    Found best{at, 0, -1};
    Range range = by_first_byte_[byte_at(text, at)];
    for (size_t length = 1; range.first < range.last; ++length) {
        if (tokens_[range.first].first.size() == length) best = {at, length, tokens_[range.first++].second};
        if (at + length == text.size()) break;
        const unsigned byte = byte_at(text, at + length);
        const auto begin = tokens_.begin();
        const auto first = begin + static_cast<ptrdiff_t>(range.first), last = begin + static_cast<ptrdiff_t>(range.last);
        const auto low = std::lower_bound(first, last, byte,
                                          [&](const auto& token, unsigned b) { return byte_at(token.first, length) < b; });
        const auto high = std::upper_bound(low, last, byte,
                                           [&](unsigned b, const auto& token) { return b < byte_at(token.first, length); });
        range = {static_cast<size_t>(low - begin), static_cast<size_t>(high - begin)};
    }
    return best;
}

}  // namespace nib
