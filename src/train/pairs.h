// What a model with an encoder trains on: lines of a source, a tab and a target.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/char_tokenizer.h"
#include "text/corpus.h"

namespace nib {

/// The characters between and after a source and its target begin what the decoder writes and end both, so that a
/// vocabulary of a text's characters has all that is needed.
constexpr char32_t kPairTab = U'\t', kPairEnd = U'\n';

/// A row of a batch, to fill in; T tokens each. Of the line "abc\txy":
///     source   a b c \n .      4 of them
///     ids      \t x y . .
///     targets  x y \n - -      "-": kIgnore
struct PairRow {
    std::span<int32_t> source, ids, targets;
    int32_t& source_length;
};

class Pairs {
public:
    /// The pairs in the lines that begin within `span`; empty lines are none. Error, naming the line, for one that is no
    /// pair, or longer than a context has room for. `corpus` and `tokenizer` must outlive it.
    Pairs(const Corpus& corpus, const CharTokenizer& tokenizer, Span span, int64_t context);

    int64_t count() const { return static_cast<int64_t>(pairs_.size()); }
    /// Tokens that pair i predicts.
    int64_t targets(int64_t i) const;
    void read(int64_t i, const PairRow& row) const;

private:
    struct Pair {
        int64_t begin, tab, end;  // characters of the corpus
    };
    void add(const Pair& pair, int64_t tabs, int64_t line, int64_t context);

    const Corpus& corpus_;
    const CharTokenizer& tokenizer_;
    std::vector<Pair> pairs_;
};

}  // namespace nib
