// The two tokenizers of a translation model as Marian, and transformers' MarianTokenizer, keep them: source.spm and
// target.spm, which cut texts into pieces, and vocab.json, which numbers the pieces of both.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace nib {

/// Of the language that a model translates from and of the one that it translates into; ids mean the same to both unless
/// each has a vocabulary of its own.
struct TranslationTokenizers {
    std::unique_ptr<Tokenizer> source, target;
};

/// What the files in `folder` describe; nothing when there is no source.spm. With `separate_vocabs` in
/// tokenizer_config.json the target's numbers are those of target_vocab.json. Pieces that a vocabulary does not have are
/// unknown, tokens like ">>fra<<" are found in a text before it is cut. Error, naming the file, with
/// Remedy::LeaveOutVocabulary, when they are damaged or ask for what nib does not do.
std::optional<TranslationTokenizers> load_translation_tokenizers(const std::string& folder);

/// The same for files in memory, by their names.
std::optional<TranslationTokenizers> parse_translation_tokenizers(const std::map<std::string, std::string_view>& files,
                                                                  const std::string& folder);

/// The files, names and contents, from which transformers and the functions above make the same tokenizers. `context`:
/// the longest text. Error for tokenizers of another kind.
std::vector<std::pair<std::string, std::string>> translation_tokenizer_files(const Tokenizer& source,
                                                                             const Tokenizer& target, int64_t context);

}  // namespace nib
