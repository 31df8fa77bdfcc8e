#include "text/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

unsigned byte_at(std::string_view text, size_t at) { return static_cast<unsigned char>(text[at]); }

// The last character of a text that is not empty; of one that is not UTF-8 U+FFFD with one byte.
Decoded last_character(std::string_view text) {
    for (size_t length = 1; length <= std::min<size_t>(4, text.size()); ++length) {
        const Decoded last = decode_utf8(text, text.size() - length);
        if (static_cast<size_t>(last.length) == length) return last;
    }
    return {kReplacement, 1};
}

// Where the white space before `end` begins, `floor` at least.
size_t spaces_before(std::string_view text, size_t floor, size_t end) {
    size_t begin = std::max(end, floor);
    while (begin > floor) {
        const Decoded last = last_character(text.substr(0, begin));
        if (!is_whitespace(last.code)) break;
        begin -= static_cast<size_t>(last.length);
    }
    return begin;
}

size_t spaces_after(std::string_view text, size_t begin) {
    for (Decoded next; (next = decode_utf8(text, begin)).length > 0 && is_whitespace(next.code);)
        begin += static_cast<size_t>(next.length);
    return begin;
}

// Whether `part` has bytes in one of `parts`, which are in order.
bool touches(std::span<const std::string_view> parts, std::string_view part) {
    const std::less<const char*> before;
    const auto first = std::partition_point(
        parts.begin(), parts.end(), [&](std::string_view one) { return !before(part.data(), one.data() + one.size()); });
    return first != parts.end() && before(first->data(), part.data() + part.size());
}

bool is_word_apart(std::string_view text, size_t begin, size_t end) {
    const Decoded after = decode_utf8(text, end);
    return (begin == 0 || !is_word(last_character(text.substr(0, begin)).code)) &&
           (after.length == 0 || !is_word(after.code));
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
    std::erase_if(tokens_, [](const AddedToken& token) { return token.text.empty(); });
    std::stable_sort(tokens_.begin(), tokens_.end(), [](const auto& a, const auto& b) { return a.text < b.text; });
    tokens_.erase(
        std::unique(tokens_.begin(), tokens_.end(), [](const auto& a, const auto& b) { return a.text == b.text; }),
        tokens_.end());
    for (size_t i = 0; i < tokens_.size(); ++i) {
        Range& range = by_first_byte_[byte_at(tokens_[i].text, 0)];
        if (range.last == 0) range.first = i;
        range.last = i + 1;
    }
    if (tokens_.empty()) return;
    const unsigned first = byte_at(tokens_.front().text, 0);
    if (first == byte_at(tokens_.back().text, 0)) only_first_byte_ = static_cast<int>(first);
}

void AddedTokens::split(std::string_view text, bool special, const std::function<void(std::string_view, int32_t)>& part,
                        std::span<const std::string_view> verbatim) const {
    size_t done = 0, space_begin = 0, space_end = 0;  // the white space looked at last
    for (size_t from = 0;;) {
        const auto [at, token] = find(text, from);
        if (token == nullptr) break;
        size_t begin = at, end = at + token->text.size();
        from = end;
        const bool passed_over = token->special && (!special || touches(verbatim, text.substr(begin, end - begin)));
        if (passed_over || (token->single_word && !is_word_apart(text, begin, end))) continue;
        if (token->lstrip) begin = spaces_before(text, done, begin);
        if (token->rstrip) {
            if (end < space_begin || end > space_end) {
                space_begin = end;
                space_end = spaces_after(text, end);
            }
            end = space_end;
        }
        if (done < begin) part(text.substr(done, begin - done), -1);
        if (begin < end) part(text.substr(begin, end - begin), token->id);
        done = end;
    }
    if (done < text.size()) part(text.substr(done), -1);
}

// The first token from byte `from` on.
AddedTokens::Found AddedTokens::find(std::string_view text, size_t from) const {
    if (tokens_.empty()) return {text.size(), nullptr};
    for (size_t at = from; at < text.size(); ++at) {
        if (only_first_byte_ >= 0) {
            const void* hit = std::memchr(text.data() + at, only_first_byte_, text.size() - at);
            if (hit == nullptr) break;
            at = static_cast<size_t>(static_cast<const char*>(hit) - text.data());
        }
        if (const AddedToken* const token = match(text, at)) return {at, token};
    }
    return {text.size(), nullptr};
}

// Narrows the sorted tokens to those that agree with the text on ever more bytes; one that ends there comes first.
const AddedToken* AddedTokens::match(std::string_view text, size_t at) const {
    const AddedToken* best = nullptr;
    Range range = by_first_byte_[byte_at(text, at)];
    for (size_t length = 1; range.first < range.last; ++length) {
        if (tokens_[range.first].text.size() == length) best = &tokens_[range.first++];
        if (at + length == text.size()) break;
        const unsigned byte = byte_at(text, at + length);
        const auto begin = tokens_.begin();
        const auto first = begin + static_cast<ptrdiff_t>(range.first), last = begin + static_cast<ptrdiff_t>(range.last);
        const auto low = std::lower_bound(first, last, byte,
                                          [&](const auto& token, unsigned b) { return byte_at(token.text, length) < b; });
        const auto high = std::upper_bound(low, last, byte,
                                           [&](unsigned b, const auto& token) { return b < byte_at(token.text, length); });
        range = {static_cast<size_t>(low - begin), static_cast<size_t>(high - begin)};
    }
    return best;
}

}  // namespace nib
