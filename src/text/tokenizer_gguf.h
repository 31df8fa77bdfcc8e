// Tokenizers inside GGUF files.
#pragma once

#include <memory>

#include "io/gguf.h"
#include "text/char_tokenizer.h"
#include "text/tokenizer.h"

namespace nib {

/// Stores a character vocabulary so that llama.cpp reads it as a SentencePiece model without merges or special tokens, plus
/// `nib.tokenizer = "char"`.
void write_tokenizer(GgufWriter& file, const CharTokenizer& tokenizer);

/// The tokenizer that a model file holds. Error, naming the file, when it is missing, damaged or of a kind that nib does
/// not know.
std::unique_ptr<Tokenizer> read_tokenizer(const GgufFile& file);

}  // namespace nib
