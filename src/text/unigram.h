// The unigram language model (Kudo 2018, "Subword Regularization"): every token has a log probability, and a text becomes
// the tokens whose sum is the highest.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/trie.h"
#include "text/unknown_text.h"
#include "text/word_model.h"

namespace nib {

class Unigram : public WordModel {
public:
    /// The table must outlive the model. Error for more scores than tokens, and for one that is no number.
    Unigram(const TokenTable& table, const TokenizerSpec& spec);

    void encode(std::string_view word, Work& work) const override;
    std::vector<double> scores() const override { return scores_; }
    std::vector<UnlistedPiece> unlisted() const override { return unlisted_; }

private:
    Trie make_trie(const TokenizerSpec& spec);
    bool is_found_by_model(const TokenizerSpec& spec, int32_t id) const;
    void find_best(std::string_view word, double sum_before, std::vector<PathEnd>& best) const;
    void add_unknown(std::string_view run, Work& work) const;
    bool is_unknown(int32_t number) const;

    const TokenTable& table_;
    UnknownText unknown_;
    int32_t unknown_id_;
    bool as_sentencepiece_;
    std::vector<double> scores_;           // by id
    std::vector<UnlistedPiece> unlisted_;  // their numbers follow the ids
    std::vector<double> weights_;          // what each number adds to a sum
    double unknown_weight_ = 0;            // likewise a character without a token
    bool words_apart_ = true;              // no token goes on with U+2581 after another character
    Trie trie_;                            // numbers by text
};

}  // namespace nib
