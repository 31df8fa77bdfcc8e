// Cuts a Jinja template into texts and the tokens of its tags.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nib::jinja {

struct Token {
    enum class Type { Text, OutputBegin, OutputEnd, BlockBegin, BlockEnd, Name, Integer, String, Symbol, End };
    Type type;
    std::string text;
};

/// The tokens of a template, the last of which is End; white space around tags is treated as `transformers` does. Error
/// for a tag that does not end and for characters that are no token.
std::vector<Token> tokenize(std::string_view text);

}  // namespace nib::jinja
