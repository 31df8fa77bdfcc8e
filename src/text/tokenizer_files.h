// The tokenizer of a Hugging Face folder: tokenizer.json, or vocab.json with merges.txt, and the small files beside them
// that name special tokens.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace nib {

/// The tokenizer that the files in `folder` describe, nullptr when there are none (a vocab.json without merges.txt is not
/// enough). Error, naming the file, when they are damaged or ask for what nib does not do.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& folder);

/// The same for files in memory, by their names ("tokenizer.json"). For messages: `folder`, or the path of the only file,
/// which may have another name.
std::unique_ptr<Tokenizer> parse_tokenizer(const std::map<std::string, std::string_view>& files, const std::string& folder,
                                           const std::string& only = "");

}  // namespace nib
