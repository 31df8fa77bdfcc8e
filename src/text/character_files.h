// Character vocabularies as Hugging Face's files: a tokenizer.json of BPE without merges, over the text as a whole.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/json_value.h"
#include "text/char_tokenizer.h"

namespace nib {

/// Names and contents of tokenizer.json and tokenizer_config.json, which give the same ids. `context`: of the model;
/// `segments`: as of tokenizer_files().
std::vector<std::pair<std::string, std::string>> character_files(const CharTokenizer& tokenizer, int64_t context,
                                                                 bool segments);

/// The tokenizer in such files, nullptr when `tokenizer`, the root of tokenizer.json, is another kind. `config` is the root
/// of tokenizer_config.json. Error names the file and what is wrong.
std::unique_ptr<CharTokenizer> parse_character_files(const JsonValue& tokenizer, const std::optional<JsonValue>& config);

}  // namespace nib
