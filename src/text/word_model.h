// The part of a tokenizer that makes tokens of words, whatever cut the text into them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/merge_queue.h"
#include "text/token_table.h"

namespace nib {

/// The best way to a place in a word, for Unigram.
struct PathEnd {
    static constexpr uint32_t kNowhere = UINT32_MAX;

    double sum;        // of the scores
    uint32_t begin;    // of the token that ends there, kNowhere: none does
    int32_t number;    // of that token
    uint32_t end = 0;  // of the token that begins there, if it is on the best way to the word's end
};

class WordModel {
public:
    /// What one call of encode() works with.
    struct Work {
        bool skip_unknown;  // leave out what has no token
        std::vector<int32_t> ids;
        std::vector<int32_t> symbols;
        MergeScratch scratch;
        std::vector<PathEnd> best;
    };

    virtual ~WordModel() = default;

    /// Appends the ids of a word, which is not empty, to `work.ids`. Error with
    /// Remedy::SkipUnknown for text that has no token.
    virtual void encode(std::string_view word, Work& work) const = 0;

    /// The merges of BPE, as TokenizerSpec has them; one that was given twice is there once.
    virtual std::vector<std::string> merges() const { return {}; }
    /// The scores of SentencePiece's BPE and of Unigram, likewise.
    virtual std::vector<double> scores() const { return {}; }
    /// Unigram's pieces without a token.
    virtual std::vector<UnlistedPiece> unlisted() const { return {}; }
};

/// WordPiece (Schuster and Nakajima 2012, as BERT has it): the longest token that begins the word, and so on with the
/// rest, whose tokens have a prefix. A word of which a part has no token is unknown as a whole.
class WordPiece : public WordModel {
public:
    /// The table must outlive the model. `unknown`: the token of unknown words, -1 for none.
    WordPiece(const TokenTable& table, const WordModelSpec& spec, int32_t unknown)
        : table_(table), prefix_(spec.continuing_prefix), longest_word_(spec.longest_word), unknown_(unknown) {}

    void encode(std::string_view word, Work& work) const override;

private:
    bool split(std::string_view word, Work& work) const;

    const TokenTable& table_;
    std::string prefix_;
    int64_t longest_word_;
    int32_t unknown_;
};

/// Every word is one token.
class WordLevel : public WordModel {
public:
    WordLevel(const TokenTable& table, int32_t unknown) : table_(table), unknown_(unknown) {}

    void encode(std::string_view word, Work& work) const override;

private:
    const TokenTable& table_;
    int32_t unknown_;
};

}  // namespace nib
