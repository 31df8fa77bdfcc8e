// Files of SentencePiece's models: tokenizer.model as it is written by SentencePiece, and what llama2.c makes of it.
#pragma once

#include <string>
#include <string_view>

#include "text/tokenizer_json.h"
#include "text/tokenizer_spec.h"

namespace nib {

/// What a tokenizer.model says, but for `specials`; for those the names that it gives. Marks and tokens that users defined
/// are found in a text before anything else is done with it, as llama.cpp and transformers do. Without `add_prefix` no
/// space comes before a text even if the file wants one. Error, which begins with `name`, when it is damaged, or asks for
/// what nib does not do.
TokenizerSpec read_sentencepiece_file(std::string_view file, const std::string& name, bool add_prefix, SpecialNames& names);

/// A tokenizer.model of Unigram that cuts texts as `spec` says. Its ids are its own: a spec whose vocabulary has tokens
/// that the model does not find has others.
std::string sentencepiece_file(const TokenizerSpec& spec);

/// Whether a file may be llama2.c's tokenizer.bin, which has no mark of its own; and what it says.
bool is_llama2c_tokenizer(std::string_view file);
TokenizerSpec read_llama2c_tokenizer(std::string_view file, const std::string& name);

}  // namespace nib
