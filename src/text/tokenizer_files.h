// The tokenizer of a Hugging Face folder: tokenizer.json, or else SentencePiece's tokenizer.model or the older files
// (vocab.json and merges.txt of BPE, which OpenAI called encoder.json and vocab.bpe, or WordPiece's vocab.txt), and the
// small files beside them that name special tokens.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace nib {

/// The tokenizer that the files in `folder` describe, nullptr when there are none (a vocab.json without merges.txt is not
/// enough). Error, naming the file, with Remedy::LeaveOutVocabulary, when they are damaged or ask for what nib does not
/// do.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& folder);

/// The same for one of those files, with those that belong to it in its folder, but another kind of tokenizer there does
/// not count. A file of another name that ends in ".model" is a tokenizer.model, one that ends in ".txt" a vocab.txt if it
/// has the token [UNK]. nullptr for all other files.
std::unique_ptr<Tokenizer> load_tokenizer_file(const std::string& path);

/// The same for files in memory, by their names ("tokenizer.json"). For messages: `folder`, and `only`, the path of the
/// file with the vocabulary if it is one and may have another name.
std::unique_ptr<Tokenizer> parse_tokenizer(const std::map<std::string, std::string_view>& files, const std::string& folder,
                                           const std::string& only = "");

}  // namespace nib
