// Token dropout: some of the tokens that a model reads are hidden from it, though not from what it is to predict.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "task/task.h"

namespace nib {

class TokenDropout {
public:
    /// Each token is hidden with this probability, 0 to below 1: it becomes the mask or, in a vocabulary without one, the
    /// token for unknown text or else any token (Bowman et al. 2015). Marks stay.
    TokenDropout(double probability, uint64_t seed, const Tokenizer& tokenizer);

    /// Hides tokens of a row, counted as in Task::fill(), and of its source.
    void apply(uint32_t step, uint32_t row, TaskRow& to) const;

private:
    void hide(uint32_t step, uint32_t row, uint32_t first, std::span<int32_t> ids) const;

    uint32_t threshold_;
    uint64_t seed_;
    int32_t substitute_;          // -1: any of texts_
    std::vector<bool> hidable_;   // by id
    std::vector<int32_t> texts_;  // ids of tokens that are no marks
};

}  // namespace nib
