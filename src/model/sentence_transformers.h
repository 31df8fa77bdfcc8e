// What sentence-transformers keeps beside a model of transformers: how its hidden states become the embedding of a text.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/config.h"

namespace nib {

/// Takes pooling, normalization and the longest text from modules.json, the pooling's config.json and
/// sentence_bert_config.json in a folder, if they are there. Error for a module that nib does not compute.
void read_sentence_transformers(const std::string& folder, ModelConfig& config);

/// The same files of a model: names in the folder and texts. None without a pooling.
std::vector<std::pair<std::string, std::string>> sentence_transformers_files(const ModelConfig& config);

}  // namespace nib
