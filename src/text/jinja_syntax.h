// The syntax tree of a Jinja template.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace nib::jinja {

enum class Kind {
    // Statements. `parts` of If: condition and block, in turn, and then the block of `else`. Of For: the iterable, a
    // condition or Nothing, the body, and the block of `else` or Nothing; `names` are its variables.
    Block,
    Text,
    Output,
    If,
    For,
    Set,           // names[0] = parts[0]
    SetAttribute,  // names[0].text = parts[0]
    Break,
    Continue,
    // Expressions. Those with a name have it in `text`, and what it is applied to comes first in `parts`.
    Literal,
    Name,
    Attribute,
    Item,
    Slice,  // of parts[0]: start, stop and step, or Nothing
    Call,   // of parts[0], with the arguments that follow
    Keyword,
    Filter,
    Test,
    Not,
    Negative,
    And,
    Or,
    Binary,
    List,
    Dict,  // keys and values, in turn
    Conditional,
    Nothing,
};

struct Node {
    Kind kind = Kind::Nothing;
    std::string text = {};
    std::vector<Node> parts = {};
    std::vector<std::string> names = {};
    Value value = {};  // of Literal
};

/// Error for what is no template.
Node parse(std::string_view text);

}  // namespace nib::jinja
