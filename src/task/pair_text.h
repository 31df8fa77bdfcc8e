// Pairs of texts, tokenized once and kept in a file beside what they are for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "infer/evaluate.h"
#include "task/pair_reader.h"
#include "text/piece_workers.h"
#include "text/token_file.h"
#include "text/tokenizer.h"

namespace nib {

/// By which tokenizers a model reads and writes, which may be the same one, and how long each side may be.
struct PairTokens {
    const Tokenizer &source, &target;
    int64_t context;  // tokens of a side, with those around it
};

/// The tokens of a pair: of the source those that the model wants around it as well, of the target the one that ends it.
/// Marks in the texts are text. Error for a side without tokens of its own, or with more than there is room for.
TokenPair encode_pair(const Example& pair, const PairTokens& tokens);

struct PairTextOptions {
    WorkProgress progress{};
    /// Called with how many pairs were passed over and, when the file is made, why.
    std::function<void(const std::string&)> note{};
};

/// The tokens of all pairs, each a document: those of its source, then, marked, those of its target. They are read from a
/// file in `folder` whose name tells texts and tokenizers apart; it is made unless it is there. Error as of PairReader and
/// encode_pair, naming file and line, and when there is no pair.
std::unique_ptr<TokenFile> pair_text(const PairFiles& files, const PairTokens& tokens, const std::string& folder,
                                     const PairTextOptions& options);

}  // namespace nib
