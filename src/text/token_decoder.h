// Putting a text together from tokens, one after the other.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace nib {

class TokenDecoder {
public:
    /// The steps of a TokenizerSpec. With `byte_level` tokens come as bytes and not in GPT-2's alphabet. Error for an
    /// option that makes no sense, and for steps that would have to see the end of the text first.
    TokenDecoder(const std::string& steps, bool byte_level);

    /// What a token adds to the text. Bytes that are half a character, and bytes that are not UTF-8, stay as they are.
    std::string next(std::string_view token, DecodeState& state) const;

private:
    std::vector<std::function<std::string(std::string, DecodeState&)>> steps_;
};

}  // namespace nib
