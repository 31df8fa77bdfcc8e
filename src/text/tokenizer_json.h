// Hugging Face's tokenizer.json: reading and writing.
#pragma once

#include <optional>
#include <string>

#include "io/json_value.h"
#include "text/tokenizer_spec.h"

namespace nib {

/// Tokens with a purpose, by their texts.
struct SpecialNames {
    std::optional<std::string> begin, end, unknown, padding, mask;
    bool add_begin = false, add_end = false;
    PairForm pairs = {};
};

/// What a tokenizer.json says, but for `specials`; for those the names that it gives. Error, naming the place, when it is
/// damaged or asks for what nib does not do.
TokenizerSpec read_tokenizer_json(const JsonValue& root, SpecialNames& names);

/// The text of a tokenizer.json from which read_tokenizer_json() and `tokenizers` make the same tokenizer. Ids without
/// tokens have no place in it, and SentencePiece's BPE is with_merges(). Error when a token's text is not UTF-8.
std::string tokenizer_json(const TokenizerSpec& spec);

}  // namespace nib
