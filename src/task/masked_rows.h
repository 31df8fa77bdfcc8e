// Which tokens are hidden from a model that learns to find them (Devlin et al. 2018), and behind what.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/tokenizer.h"

namespace nib {

/// How many tokens become targets of masked training.
inline constexpr double kMaskedShare = 0.15;
/// The step that stands for the validation; no training has so many.
inline constexpr uint32_t kValidationStep = 0xFFFFFFFF;

/// Each token is chosen with probability 15 %; of those chosen, which are the targets, 80 % become the mask, 10 % any token
/// and 10 % stay.
///
///     tokens     t h e   f o x   a t e   t h e   c r o w
///     ids        t h # _ f o x _ a k e _ t h e _ c # o w
///     targets    . . e . . . . . . t . . . . e . . r . .
class MaskedRows {
public:
    /// `replacements`: a token becomes any of so many, the first ones.
    MaskedRows(uint64_t seed, int32_t mask, int32_t replacements) : seed_(seed), mask_(mask), replacements_(replacements) {}
    /// Those of a vocabulary, but for a mask that is its last token. Marks stay. With `whole_words` all tokens of a word
    /// are chosen, or none. Error when it has no mask.
    MaskedRows(uint64_t seed, const Tokenizer& tokenizer, bool whole_words);

    /// Sets targets (n) and changes ids (n), the tokens of a row from number `first` on; the first one begins a word.
    void mask(uint32_t step, uint32_t row, std::span<int32_t> ids, std::span<int32_t> targets, uint32_t first = 0) const;
    /// How many targets that makes.
    int64_t count(uint32_t step, uint32_t row, std::span<const int32_t> ids, uint32_t first = 0) const;

private:
    bool begins_word(int32_t id) const { return continues_.empty() || !continues_[static_cast<size_t>(id)]; }
    bool is_chosen(uint32_t step, uint32_t row, uint32_t number) const;

    uint64_t seed_;
    int32_t mask_, replacements_;
    bool is_mark(int32_t id) const { return !marks_.empty() && marks_[static_cast<size_t>(id)]; }

    std::vector<bool> continues_;  // by id: it goes on with a word; empty: none does
    std::vector<bool> marks_;      // by id: it is no text, and stays; empty: none is
};

}  // namespace nib
