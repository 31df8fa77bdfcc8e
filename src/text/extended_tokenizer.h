// A tokenizer with more ids, or more tokens, than it had.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace nib {

/// The same tokenizer with ids up to `size`; those beyond its own have no tokens. Error when it has more.
std::unique_ptr<Tokenizer> padded(std::unique_ptr<Tokenizer> tokenizer, int64_t size);

/// "<|im_start|>,<|im_end|>" as a list. UsageError for an empty one, and for one that is named twice, is not UTF-8 or has
/// white space in it.
std::vector<std::string> parse_marks(const std::string& list);

/// The same tokenizer with these marks (TokenType::Control), but for those that it has: they take the ids that have no
/// token, then new ones. Error for what is a token already, but no mark.
std::unique_ptr<Tokenizer> with_marks(std::unique_ptr<Tokenizer> tokenizer, std::span<const std::string> marks);

}  // namespace nib
