#include "text/word_model.h"

#include <algorithm>

#include "core/error.h"

namespace nib {
namespace {

void add_unknown(std::string_view word, int32_t unknown, WordModel::Work& work) {
    if (unknown >= 0)
        work.ids.push_back(unknown);
    else if (!work.skip_unknown)
        fail_with(Remedy::SkipUnknown, "the model has no token for the word \"%s\", and none for unknown words",
                  printable(word, 60).c_str());
}

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

}  // namespace

void WordPiece::encode(std::string_view word, Work& work) const {
    const bool too_long = static_cast<int64_t>(word.size()) > longest_word_ &&
                          std::count_if(word.begin(), word.end(), begins_character) > longest_word_;
    const size_t before = work.ids.size();
    if (!too_long && split(word, work)) return;
    work.ids.resize(before);
    add_unknown(word, unknown_, work);
}

// Appends the tokens of the word, as far as it goes; false if it does not go to the end.
bool WordPiece::split(std::string_view word, Work& work) const {
    std::string key;
    for (size_t begin = 0; begin < word.size();) {
        key = begin > 0 ? prefix_ : "";
        const size_t prefix = key.size();
        key += word.substr(begin, table_.longest());
        int32_t id = -1;
        size_t end = key.size();
        for (; end > prefix; --end) {
            const bool whole = begin + end - prefix == word.size() || begins_character(word[begin + end - prefix]);
            id = whole ? table_.find(std::string_view(key).substr(0, end)) : -1;
            if (id >= 0) break;
        }
        if (id < 0) return false;
        work.ids.push_back(id);
        begin += end - prefix;
    }
    return true;
}

void WordLevel::encode(std::string_view word, Work& work) const {
    const int32_t id = table_.find(word);
    if (id >= 0)
        work.ids.push_back(id);
    else
        add_unknown(word, unknown_, work);
}

}  // namespace nib
