// The part of the template language Jinja that chat templates are written in, evaluated as `transformers` does it: with
// trim_blocks, lstrip_blocks, raise_exception() and strftime_now(). Templates come with models, from anyone: nothing that
// one says costs more than a bounded amount of time and memory.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"
#include "text/jinja_value.h"

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

    using Variables = std::map<std::string, jinja::Value>;

    /// What the template writes with these variables. JinjaRaised, and Error for functions, filters and tests that nib does
    /// not know, for operations on values they are not for, and when it takes too long.
    std::string render(const Variables& variables) const;

private:
    std::shared_ptr<const jinja::Node> root_;
};

}  // namespace nib
