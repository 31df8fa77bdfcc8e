// Which parts of a text are used for a training step and for validation.
#pragma once

#include <cstdint>
#include <span>

#include "text/char_tokenizer.h"
#include "text/corpus.h"

namespace nib {

/// First character of a random window of context + 1 characters inside `span`, uniform, from a generator keyed by seed,
/// step and row: the same on any machine and any number of threads. `row` counts over all micro-batches of the step, so
/// that accumulating 2 batches of B rows sees the windows of one batch of 2 B. Error when the span has no such window.
int64_t window_start(uint64_t seed, uint32_t step, uint32_t row, Span span, int64_t context);

/// Reads the context + 1 characters at `start` as inputs and targets, which are the inputs shifted by one: (T) each.
void read_window(const Corpus& corpus, const CharTokenizer& tokenizer, int64_t start, std::span<int32_t> ids,
                 std::span<int32_t> targets);

/// Evenly spaced windows over a span that predict about `tokens` characters; 0, or more than there are: each exactly once.
class EvalWindows {
public:
    /// Error when the span is too short, or a number makes no sense.
    EvalWindows(Span span, int64_t context, int64_t tokens);
    int64_t count() const { return count_; }
    /// First character of window i.
    int64_t start(int64_t i) const;
    /// Characters that window i predicts: the context, except for the last window of a whole span.
    int64_t length(int64_t i) const;

private:
    Span span_;
    int64_t context_, count_;
    bool whole_;
};

}  // namespace nib
