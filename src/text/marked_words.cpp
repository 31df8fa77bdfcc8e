#include "text/marked_words.h"

namespace nib {

size_t find_marked_word(std::string_view text, size_t from) {
    constexpr std::string_view kMark = "\u2581";
    size_t at = text.find(kMark, from);
    while (at != std::string_view::npos && (at == 0 || text.substr(0, at).ends_with(kMark)))
        at = text.find(kMark, at + kMark.size());
    return at;
}

}  // namespace nib
