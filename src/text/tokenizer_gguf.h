// Tokenizers inside GGUF files.
#pragma once

#include <memory>

#include "io/gguf.h"
#include "text/bpe_tokenizer.h"
#include "text/char_tokenizer.h"
#include "text/tokenizer.h"

namespace nib {

/// Stores a character vocabulary so that llama.cpp reads it as a SentencePiece model without merges, plus
/// `nib.tokenizer = "char"`. Texts have the same ids there unless a character has no token, a text has both U+2581 and
/// spaces, which it cannot tell apart, or long tokens overlap: it looks for the longest one in all of the text first.
void write_tokenizer(GgufWriter& file, const CharTokenizer& tokenizer);

/// Stores a byte-level BPE tokenizer as llama.cpp does; the same tokenizer gives the same bytes. GGUF has no place for
/// BpeToken::normalized: control tokens are read back as false, user-defined ones as true.
void write_tokenizer(GgufWriter& file, const BpeTokenizer& tokenizer);

/// Stores whichever of these it is.
void write_tokenizer(GgufWriter& file, const Tokenizer& tokenizer);

/// The tokenizer that a model file holds, nullptr when it says that there is none. Error, naming the file, when it is
/// damaged or of a kind that nib does not know.
std::unique_ptr<Tokenizer> read_tokenizer(const GgufFile& file);

}  // namespace nib
