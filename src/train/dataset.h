// The texts of a training run: what trains, what validates, and a fingerprint of both.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/corpus.h"
#include "train/pairs.h"

namespace nib {

/// What a resumed run must find again.
struct TextIdentity {
    int64_t characters = 0;
    uint64_t fingerprint = 0;  // of up to a million characters spread over the text
    bool operator==(const TextIdentity&) const = default;
};

struct Dataset {
    std::unique_ptr<Corpus> text;
    std::unique_ptr<Corpus> other;  // null: the end of `text` validates
    Span train{0, 0};               // of text
    Span val{0, 0};                 // of validation(); empty: nothing validates

    const Corpus& validation() const { return other ? *other : *text; }
    /// Of models with an encoder: the lines of `train` and `val`.
    std::unique_ptr<Pairs> train_pairs, val_pairs;

    /// The characters of both texts, ascending.
    std::vector<char32_t> characters() const;
};

/// Opens the texts and divides them. Error when a text is missing, malformed or too short for the context.
Dataset open_dataset(const std::vector<std::string>& inputs, const std::string& val_file, double val_fraction,
                     int64_t context);

/// Finds the pairs in the lines of both texts. Error for lines that are none and parts without any.
void find_pairs(Dataset& data, const CharTokenizer& tokenizer, int64_t context);

TextIdentity identify(const Corpus& corpus, const CharTokenizer& tokenizer);

}  // namespace nib
