#include "text/tokenizer.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/error.h"

namespace nib {

int32_t Tokenizer::first_token() const { return specials_.begin >= 0 ? specials_.begin : std::max(specials_.end, 0); }

namespace {

// Appends tokens of one segment.
void append(MarkedText& to, std::span<const int32_t> ids, int32_t type) {
    to.ids.insert(to.ids.end(), ids.begin(), ids.end());
    to.types.resize(to.ids.size(), type);
}
void append(MarkedText& to, int32_t id, int32_t type) { append(to, std::span(&id, 1), type); }

EncodeOptions without_begin(EncodeOptions options) {
    options.begin = false;
    return options;
}

}  // namespace

PlacedTokens Tokenizer::encode_placed(std::string_view, const EncodeOptions&) const {
    fail("the tokens of this model are not pieces of a text");
}

MarkedText Tokenizer::encode_marked(std::string_view text, const EncodeOptions& options) const {
    MarkedText marked;
    if (begins_texts()) append(marked, specials_.begin, 0);
    append(marked, encode(text, without_begin(options)), 0);
    if (ends_texts()) append(marked, specials_.end, 0);
    return marked;
}

MarkedText Tokenizer::encode_marked(std::string_view first, std::string_view second, const EncodeOptions& options) const {
    return mark(encode(first, without_begin(options)), encode(second, without_begin(options)));
}

MarkedText Tokenizer::mark(std::span<const int32_t> first, std::span<const int32_t> second) const {
    const auto [ends_between, begins_second, type] = specials_.pairs;
    if (ends_between < 0) fail("the way in which this tokenizer puts two texts together is not supported");
    MarkedText marked;
    if (begins_texts()) append(marked, specials_.begin, 0);
    append(marked, first, 0);
    for (int32_t i = 0; ends_texts() && i < ends_between; ++i) append(marked, specials_.end, 0);
    if (begins_texts() && begins_second) append(marked, specials_.begin, type);
    append(marked, second, type);
    if (ends_texts()) append(marked, specials_.end, type);
    return marked;
}

void Tokenizer::set_end_token(std::string_view text) {
    int32_t id = text.empty() ? -1 : 0;
    while (id >= 0 && id < vocab_size() && decode(std::span<const int32_t>(&id, 1)) != text) ++id;
    if (id == vocab_size()) fail("the model has no token `%s`", printable(text, 60).c_str());
    if (specials_.begin < 0 || specials_.begin == specials_.end) {
        const bool had_none = specials_.begin < 0 && specials_.end < 0;
        specials_.begin = id;
        specials_.add_begin = id >= 0 && (specials_.add_begin || had_none);
    }
    specials_.end = id;
    specials_.add_end = id >= 0 && specials_.add_end;
}

void Tokenizer::end_texts() {
    if (specials_.end < 0) fail("the vocabulary has no token that ends a text");
    specials_.add_end = true;
}

void Tokenizer::check_specials() const {
    const std::pair<const char*, int32_t> ids[] = {
        {"beginning",    specials_.begin  },
        {"end",          specials_.end    },
        {"unknown text", specials_.unknown},
        {"padding",      specials_.padding},
        {"hidden words", specials_.mask   }
    };
    for (const auto& [purpose, id] : ids) {
        if (id < -1 || id >= vocab_size())
            fail("the token for %s, %d, is outside the vocabulary of %d tokens", purpose, id, vocab_size());
    }
}

}  // namespace nib
