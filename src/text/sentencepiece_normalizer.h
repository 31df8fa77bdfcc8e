// What SentencePiece does to a text before its model cuts it: characters by a table, spaces, the mark before a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/charsmap.h"
#include "text/tokenizer_spec.h"
#include "text/trie.h"

namespace nib {

class SentencePieceNormalizer {
public:
    /// `symbols`: what users defined, which stays as it is wherever it is found. Error for a damaged charsmap.
    SentencePieceNormalizer(const SentencePieceSteps& steps, const std::vector<std::string>& symbols);

    /// The text, which is UTF-8. Error when it becomes longer than longest_result().
    std::string operator()(std::string_view text) const;

private:
    struct Prefix {
        size_t length;  // of the text's beginning
        std::string_view text;
    };
    Prefix prefix(std::string_view text) const;
    bool is_plain(char byte) const { return !charsmap_.begins(byte) && !symbol_begins_[static_cast<unsigned char>(byte)]; }

    bool add_prefix_, collapse_, suffix_;
    std::string space_;  // what a space becomes
    Charsmap charsmap_;
    Trie symbols_;
    bool symbol_begins_[256] = {};
};

}  // namespace nib
