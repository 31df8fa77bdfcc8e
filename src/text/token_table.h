// The tokens of a vocabulary: texts by ids, and ids by texts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer_spec.h"

namespace nib {

class TokenTable {
public:
    /// With `byte_level`, texts in GPT-2's alphabet stand for the bytes that they spell, and those bytes are what is found
    /// and decoded. Error for tokens that are spelled alike.
    TokenTable(std::span<const TokenSpec> tokens, bool byte_level);

    int32_t size() const { return static_cast<int32_t>(kinds_.size()); }

    /// The id of the token with this text (or these bytes) that the model knows; -1 for none.
    int32_t find(std::string_view text) const { return slots_[slot_for(text)]; }

    /// The text (or the bytes) under which find() knows a token.
    std::string_view key(int32_t id) const;
    /// What a token stands for in a text: its key, but its text for an added token. Error for an id out of range.
    std::string_view meaning(int32_t id) const;
    /// Whether find() can give this id. Not with `byte_level` for a text that is not in the alphabet.
    bool is_found(int32_t id) const { return kinds_[static_cast<size_t>(id)].found; }
    TokenType type(int32_t id) const;

    /// The token as it was given.
    TokenSpec spec(int32_t id) const;
    /// That key as the vocabulary spells it.
    std::string spelled(int32_t id) const;

    /// The model makes this token itself: its key is what it stands for, even if it was added with another meaning.
    void set_made_by_model(int32_t id) {
        if (!texts_.empty()) texts_.erase(id);
    }

    /// Bytes of the longest key.
    size_t longest() const { return longest_; }

private:
    struct Kind {  // a TokenSpec without its text
        TokenType type;
        bool normalized : 1, lstrip : 1, rstrip : 1, single_word : 1, in_vocabulary : 1, found : 1;
    };

    size_t slot_for(std::string_view text) const;
    void check(int32_t id) const;

    bool byte_level_;
    std::string blob_;  // all keys
    std::vector<uint32_t> offsets_;
    std::vector<Kind> kinds_;
    std::unordered_map<int32_t, std::string> texts_;  // of added tokens whose key is not their text
    std::vector<int32_t> slots_;                      // open addressing, at most half full
    size_t longest_ = 0;
};

}  // namespace nib
