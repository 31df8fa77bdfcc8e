// Threads that take the pieces of a text in turn.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "text/text_source.h"

namespace nib {

/// Called now and then with how far a work is and how much there is.
using WorkProgress = std::function<void(uint64_t done, uint64_t total)>;

/// Pieces for one thread, and which of all such batches they are.
struct PieceBatch {
    uint64_t number = 0;
    std::vector<TextPiece> pieces;
};

/// Takes batches of about TextSource::kPiece bytes with `next`, as TextSource::next, one thread at a time, and calls
/// `work` on `threads` threads with each. Throws the Error of `next` or `work` that comes first in the text.
void for_each_batch(const std::function<bool(TextPiece&)>& next, int threads,
                    const std::function<void(int thread, const PieceBatch&)>& work);

}  // namespace nib
