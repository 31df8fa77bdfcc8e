// Tokenizers inside GGUF files.
#pragma once

#include <memory>

#include "io/gguf.h"
#include "text/tokenizer.h"

namespace nib {

/// Stores a tokenizer under llama.cpp's keys: byte-level BPE as `gpt2`, SentencePiece's BPE and BPE with byte_fallback as
/// `llama`, Unigram as `t5`, WordPiece as `bert`. What those do not say is in keys of nib's own or, for a tokenizer.json,
/// in `tokenizer.huggingface.json`; llama.cpp then gets what comes closest, and this is false. The same tokenizer gives the
/// same bytes.
///
/// A character vocabulary is a SentencePiece model without merges, plus `nib.tokenizer = "char"`. Texts have the same ids
/// in llama.cpp unless a character has no token, a text has both U+2581 and spaces, which it cannot tell apart, or long
/// tokens overlap: it looks for the longest one in all of the text first.
bool write_tokenizer(GgufWriter& file, const Tokenizer& tokenizer);
/// Likewise a second one, of the language that a model translates into.
void write_target_tokenizer(GgufWriter& file, const Tokenizer& tokenizer);

/// The tokenizer that a model file holds, nullptr when it says that there is none. Error, naming the file, when it is
/// damaged or of a kind that nib does not know.
std::unique_ptr<Tokenizer> read_tokenizer(const GgufFile& file);

/// Likewise the second one; nullptr when there is none.
std::unique_ptr<Tokenizer> read_target_tokenizer(const GgufFile& file);

/// Whether llama.cpp's keys do not say all, so that it gives other ids for some texts.
bool llama_cpp_differs(const GgufFile& file);

}  // namespace nib
