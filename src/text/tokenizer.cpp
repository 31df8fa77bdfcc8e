#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace nib {

int32_t Tokenizer::first_token() const { return specials_.begin >= 0 ? specials_.begin : std::max(specials_.end, 0); }

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

void Tokenizer::check_specials() const {
    const std::pair<const char*, int32_t> ids[] = {
        {"beginning",    specials_.begin  },
        {"end",          specials_.end    },
        {"unknown text", specials_.unknown},
        {"padding",      specials_.padding}
    };
    for (const auto& [purpose, id] : ids) {
        if (id < -1 || id >= vocab_size())
            fail("the token for %s, %d, is outside the vocabulary of %d tokens", purpose, id, vocab_size());
    }
}

}  // namespace nib
