// A tokenizer as the files of a Hugging Face folder, from which `transformers`, `tokenizers` and load_tokenizer() make the
// same one again.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace nib {

/// Names and texts: tokenizer.json, tokenizer_config.json and, of byte-level BPE, vocab.json and merges.txt. `context` is
/// the model's longest sequence; `segments`: it reads the segment of each token, too, which transformers leaves out unless
/// told. Error when a token's text is not UTF-8.
std::vector<std::pair<std::string, std::string>> tokenizer_files(const Tokenizer& tokenizer, int64_t context,
                                                                 bool segments = false);

}  // namespace nib
