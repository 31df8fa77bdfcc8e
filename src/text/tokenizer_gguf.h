// Tokenizers inside GGUF files.
#pragma once

#include <memory>

#include "io/gguf.h"
#include "text/char_tokenizer.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer.h"

namespace nib {

/// Stores a character vocabulary so that llama.cpp reads it as a SentencePiece model without merges, plus
/// `nib.tokenizer = "char"`. Texts have the same ids there unless a character has no token, a text has both U+2581 and
/// spaces, which it cannot tell apart, or long tokens overlap: it looks for the longest one in all of the text first.
void write_tokenizer(GgufWriter& file, const CharTokenizer& tokenizer);

/// Stores any other tokenizer under llama.cpp's keys: byte-level BPE as `gpt2`, SentencePiece's BPE and BPE with
/// byte_fallback as `llama`, WordPiece as `bert`. Where those do not say all, llama.cpp gets what comes closest, the whole
/// is in `tokenizer.huggingface.json`, and this is false. The same tokenizer gives the same bytes.
bool write_tokenizer(GgufWriter& file, const PipelineTokenizer& tokenizer);

/// Stores whichever of these it is; false as above.
bool write_tokenizer(GgufWriter& file, const Tokenizer& tokenizer);

/// The tokenizer that a model file holds, nullptr when it says that there is none. Error, naming the file, when it is
/// damaged or of a kind that nib does not know.
std::unique_ptr<Tokenizer> read_tokenizer(const GgufFile& file);

/// Whether llama.cpp's keys do not say all, so that it gives other ids for some texts.
bool llama_cpp_differs(const GgufFile& file);

}  // namespace nib
