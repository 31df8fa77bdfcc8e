// Learning the merges of byte-pair encoding (Sennrich et al. 2016) from words and their counts.
//
// The rule, which for byte-level BPE gives the merges that Hugging Face's `tokenizers` gives:
//
// 1. Ids go to the special tokens in their order, then to the alphabet by code points, then to what else words are made of
//    (characters with the prefix or the suffix), words in the order of their bytes, then to what merges make. A text that
//    has an id keeps it.
// 2. The alphabet is the characters of all words, or those `largest_alphabet` that occur most often, of several that occur
//    alike the lower code points. Characters that are not in it are left out of words, so that their neighbours meet. For
//    bytes it is GPT-2's 256 characters.
// 3. A pair's count is in how many places its symbols stand side by side, each as often as its word occurs. A candidate is
//    a pair and the words in which it was found. The first candidates are the pairs of all words.
// 4. The next merge is the candidate with the largest count, of several alike the one with the lowest id on the left, then
//    on the right. If the count has changed since the candidate was made or last looked at, it is brought up to date and
//    the candidate waits again. The end is a count below `least_count`, or a full vocabulary.
// 5. A merge replaces the pair in the candidate's words, in each from left to right. The counts of the pairs that its two
//    symbols made with their neighbours go down; those of the neighbours with the new symbol go up and become candidates,
//    unless such a token would not be shorter than `max_token_length`. The merged pair's own count stays as it is.
//
// Different merges may make the same token; so a pair can be a candidate several times, each time with other words, and its
// last merge gives its rank.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "text/word_counts.h"

namespace nib {

struct BpeTraining {
    int64_t size;                        // tokens in all
    uint64_t least_count = 1;            // of a pair to be merged
    int64_t max_token_length = 0;        // in characters or bytes, not counting prefix and suffix; 0: any
    int64_t largest_alphabet = 0;        // not for bytes; 0: any
    bool byte_level = false;             // words are bytes, tokens are spelled in GPT-2's alphabet
    std::string continuing_prefix = {};  // before all symbols of a word but the first
    std::string word_suffix = {};        // after its last symbol
    std::vector<std::string> specials = {};
};

struct TrainedBpe {
    std::vector<std::string> tokens;                  // by ids
    std::vector<std::pair<int32_t, int32_t>> merges;  // in the order of their ranks, each once
};

/// `words` are in the order of their bytes. Error, naming the option `size`, when there is no room for the alphabet.
TrainedBpe train_bpe(std::span<const CountedWord> words, const BpeTraining& options, const WorkProgress& progress);

}  // namespace nib
