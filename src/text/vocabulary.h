// Vocabularies that are no tokenizer of Hugging Face's: lists of characters, as people save them beside a small model of
// their own, and llama2.c's tokenizer.bin; and room for ids that a model has beyond its tokenizer's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace nib {

/// The tokenizer that the user names: a folder for load_tokenizer(), a file for load_tokenizer_file(), or any other for
/// parse_vocabulary(), which explains the rest.
std::unique_ptr<Tokenizer> open_vocabulary(const std::string& path, int32_t begin, int32_t end,
                                           std::vector<std::string>& notes);

/// The tokenizer in a file that stands alone: a tokenizer.json, llama2.c's tokenizer.bin, or a list of characters, which is
/// JSON or a pickle (nanoGPT's meta.pkl; nothing in it is executed): {"a": 0}, {"0": "a"}, ["a"], or an object with such
/// lists under `stoi` and `itos`.
///
/// In a list a text in angle or square brackets ("<.>") is a mark, whose name may say what it is for ("</s>", "[UNK]"). The
/// only one that can begin or end texts does both. `begin` and `end` are the ids of those that do where something else
/// knows it, -1 where not. In a list like makemore's, "." at 0 and then letters, the dot does both, and `notes` gets a
/// line.
///
/// Error, which names the file, for anything else and for a list that contradicts itself.
std::unique_ptr<Tokenizer> parse_vocabulary(std::string_view bytes, const std::string& path, int32_t begin, int32_t end,
                                            std::vector<std::string>& notes);

}  // namespace nib
