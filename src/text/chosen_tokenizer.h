// The tokenizer of a new model, as the user names it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/text_source.h"
#include "text/tokenizer.h"
#include "text/tokenizer_training.h"

namespace nib {

/// The tokenizer in a model file (.gguf), or open_vocabulary(). Error when a model has none.
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& path);

/// The name of a tokenizer whose tokens are the characters of texts, and one that ends documents.
inline constexpr const char* kCharacters = "char";

/// Whether choose_tokenizer() learns the one of this name, and does not open it.
bool learned_tokenizer(const std::string& name);

/// "bpe:8000" and "wordpiece:8000" are learned from texts in so many tokens, kCharacters as well. Byte-pair encoding and
/// characters get a token that ends documents. Error for another name.
std::unique_ptr<Tokenizer> learn_tokenizer(const std::string& name, DocumentSource& texts, int threads,
                                           const TrainingProgress& progress);

/// The same from `texts` (TextSource), but anything else is opened. Error for what is neither.
std::unique_ptr<Tokenizer> choose_tokenizer(const std::string& name, const std::vector<std::string>& texts, int threads,
                                            const TrainingProgress& progress);

}  // namespace nib
