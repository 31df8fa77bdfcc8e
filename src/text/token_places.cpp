#include "text/token_places.h"

#include <algorithm>

#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

// How far ahead a piece of a text is looked for in what became of it all: steps that work on whole texts may have added or
// removed something between.
constexpr size_t kAhead = 16;

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0u) != 0x80u; }

// Spaces for the marks that stand for them.
std::string with_spaces(std::string_view word) {
    constexpr std::string_view kMark = "\u2581";
    std::string text;
    for (size_t at = 0; at < word.size();) {
        const bool mark = word.substr(at).starts_with(kMark);
        text += mark ? ' ' : word[at];
        at += mark ? kMark.size() : 1;
    }
    return text;
}

// A place without white space at its ends, unless it is nothing else.
PlacedTokens::Place without_spaces(std::string_view text, PlacedTokens::Place place) {
    size_t first = place.end, last = place.end;
    for (size_t at = place.begin; at < place.end;) {
        const Decoded next = decode_utf8(text, at);
        const size_t end = at + static_cast<size_t>(std::max(next.length, 1));
        if (!is_whitespace(next.code)) first = std::min(first, at), last = end;
        at = end;
    }
    return first < place.end ? PlacedTokens::Place{first, last} : place;
}

}  // namespace

void TokenPlaces::enter(std::string_view part, std::string_view normalized) {
    part_ = static_cast<size_t>(part.data() - text_.data());
    normalized_ = normalized;
    cursor_ = 0;
    of_byte_.clear();
    if (!normalizer_.empty()) follow(part);
}

// Finds what became of each character. The clusters of a text are normalized alone, since few steps look further.
void TokenPlaces::follow(std::string_view part) {
    of_byte_.assign(normalized_.size(), {part_, part_});
    size_t done = 0;
    for (size_t at = 0, end = 0; at < part.size(); at = end) {
        const bool ascii = static_cast<unsigned char>(part[at]) < 0x80;
        const bool alone = ascii && (at + 1 == part.size() || static_cast<unsigned char>(part[at + 1]) < 0x80);
        end = alone ? at + 1 : grapheme_end(part, at);
        std::string made;
        if (alone) {
            std::optional<std::string>& known = of_ascii_[static_cast<size_t>(part[at])];
            if (!known) known = normalizer_(part.substr(at, 1));
            made = *known;
        } else {
            made = normalizer_(part.substr(at, end - at));
        }
        if (made.empty()) continue;
        const size_t found =
            normalized_.substr(0, std::min(normalized_.size(), done + kAhead + made.size())).find(made, done);
        if (found == std::string_view::npos) continue;
        std::fill_n(of_byte_.begin() + static_cast<std::ptrdiff_t>(found), made.size(), Place{part_ + at, part_ + end});
        done = found + made.size();
    }
    // Bytes of nothing that was found belong to what stands before them.
    for (size_t i = 1; i < of_byte_.size(); ++i)
        if (of_byte_[i].end < of_byte_[i - 1].end) of_byte_[i] = of_byte_[i - 1];
}

// What bytes of the normalized text, one at least, come from.
TokenPlaces::Place TokenPlaces::original(size_t begin, size_t end) const {
    if (of_byte_.empty()) return {part_ + begin, part_ + end};
    return {of_byte_[begin].begin, of_byte_[end - 1].end};
}

void TokenPlaces::add_normalized(std::string_view part) {
    const auto begin = static_cast<size_t>(part.data() - normalized_.data());
    places_.push_back(original(begin, begin + part.size()));
    cursor_ = begin + part.size();
}

// Where a word stands in the normalized text; npos: it was made of something else.
size_t TokenPlaces::find_word(std::string_view word) const {
    const auto* const first = normalized_.data();
    if (word.data() >= first && word.data() + word.size() <= first + normalized_.size())
        return static_cast<size_t>(word.data() - first);
    return normalized_.find(word, cursor_);
}

void TokenPlaces::add_word(std::string_view word, std::span<const TokenInWord> tokens) {
    std::string spaced;
    size_t at = find_word(word);
    const bool copied = at == std::string_view::npos;
    if (copied) {
        spaced = with_spaces(word);
        at = normalized_.find(spaced, cursor_);
        if (at == std::string_view::npos && spaced.starts_with(' ')) {  // which was put before the text
            spaced.erase(0, 1);
            at = normalized_.find(spaced, cursor_);
        }
        word = spaced;
    }
    if (at == std::string_view::npos) at = std::min(cursor_, normalized_.size()), word = normalized_.substr(at, 0);
    size_t done = 0, waiting = 0;  // bytes of the word, tokens before the next one that are not found
    const auto place = [&](size_t begin, size_t end) {
        const size_t last = normalized_.size();
        if (last == 0) return places_.push_back({part_, part_});
        places_.push_back(begin < end
                              ? original(at + begin, at + end)
                              : Place{original(std::min(at + begin, last - 1), std::min(at + begin, last - 1) + 1)});
    };
    const auto settle = [&](size_t end) {
        for (; waiting > 0; --waiting) place(done, end);
        done = end;
    };
    for (const TokenInWord& token : tokens) {
        std::string own;
        std::string_view text = token.value_or("");
        if (copied) {
            own = with_spaces(text);
            if (done == 0 && own.starts_with(' ') && !word.starts_with(' ')) own.erase(0, 1);
            text = own;
        }
        const size_t found = text.empty() ? std::string_view::npos : word.find(text, done);
        if (found == std::string_view::npos || (found != done && waiting == 0)) {
            ++waiting;
            continue;
        }
        settle(found);
        place(found, found + text.size());
        done = found + text.size();
    }
    settle(word.size());
    cursor_ = at + word.size();
}

std::vector<PlacedTokens::Place> TokenPlaces::take() {
    Place before;
    for (Place& place : places_) {
        while (place.begin > 0 && place.begin < text_.size() && !begins_character(text_[place.begin])) --place.begin;
        while (place.end < text_.size() && !begins_character(text_[place.end])) ++place.end;
        place = without_spaces(text_, place);
        place.begin = std::max(place.begin, before.begin);
        place.end = std::max(place.end, before.end);
        before = place;
    }
    return std::move(places_);
}

}  // namespace nib
