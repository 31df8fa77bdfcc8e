// The part of the template language Jinja that chat templates are written in, evaluated as `transformers` does it: with
// trim_blocks, lstrip_blocks, raise_exception() and strftime_now(). Templates come with models, from anyone: nothing that
// one says costs more than a bounded amount of time and memory.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"

namespace nib {

namespace jinja {
struct Node;
}

/// A template called raise_exception(); what() is its message.
class JinjaRaised : public Error {
public:
    using Error::Error;
};

class JinjaTemplate {
public:
    /// Error for text that is not Jinja, or uses statements that nib does not know (macros, blocks, includes), or is very
    /// long or deeply nested.
    explicit JinjaTemplate(std::string_view text);

    /// What the template writes, with the members of `variables`, an object. JinjaRaised, and Error for functions, filters
    /// and tests that nib does not know, for operations on values they are not for, and when it takes too long.
    std::string render(const nlohmann::json& variables) const;

private:
    std::shared_ptr<const jinja::Node> root_;
};

/// The text without white space at its ends, as Python's str.strip() knows it.
std::string_view python_strip(std::string_view text, bool left = true, bool right = true);

}  // namespace nib
