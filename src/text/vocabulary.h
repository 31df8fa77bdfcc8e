// Vocabularies that are no tokenizer of Hugging Face's: a vocab.json that lists characters, as people save it beside a
// small model of their own; and room for ids that a model has beyond its tokenizer's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace nib {

/// The tokenizer that the user names: a folder for load_tokenizer(), a file for load_tokenizer_file(), or a vocab.json that
/// stands alone, which lists characters.
/// `begin`, `end`: ids for the last kind, which does not say what its tokens are for; -1 for none. Error names the file.
std::unique_ptr<Tokenizer> open_vocabulary(const std::string& path, int32_t begin, int32_t end);

/// A tokenizer for a list of characters, `tokens[id]`; an empty text is an id without a token. In the order of the code
/// points and without gaps that is a CharTokenizer. Any other becomes a PipelineTokenizer of BPE without merges, in which a
/// text in angle or square brackets ("<.>") is a mark: one that begins texts if `begin` says so, or if it is the only one,
/// which then also ends them. Error, beginning with `where`, when a text could not be told from others.
std::unique_ptr<Tokenizer> character_tokenizer(const std::vector<std::string>& tokens, int32_t begin, int32_t end,
                                               const std::string& where);

/// The same tokenizer with ids up to `size`; those beyond its own have no tokens. Error when it has more.
std::unique_ptr<Tokenizer> padded(std::unique_ptr<Tokenizer> tokenizer, int64_t size);

}  // namespace nib
