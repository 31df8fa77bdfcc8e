// Which parts of a text are used for a training step and for validation.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "text/token_text.h"

namespace nib {

/// A number from 0 to below - 1 out of a block of Philox, uniform up to a bias of below / 2^64.
int64_t draw_below(const std::array<uint32_t, 4>& words, int64_t below);

/// First token of a random window of context + 1 tokens inside `span`, uniform, from a generator keyed by seed,
/// step and row: the same on any machine and any number of threads. `row` counts over all micro-batches of the step, so
/// that accumulating 2 batches of B rows sees the windows of one batch of 2 B. Error when the span has no such window.
int64_t window_start(uint64_t seed, uint32_t step, uint32_t row, Span span, int64_t context);

/// Reads the context + 1 tokens at `start` as inputs and targets, which are the inputs shifted by one: (T) each.
void read_window(const TokenText& text, int64_t start, std::span<int32_t> ids, std::span<int32_t> targets);
/// Sets the position of each token of a window in its document; at the beginning of the window, 0. The last token of a
/// document then has nothing to predict.
void isolate_documents(const TokenText& text, int64_t start, std::span<int32_t> targets, std::span<int32_t> positions);

/// Evenly spaced windows over a span that predict about `tokens` of its tokens; 0, or more than there are: each exactly
/// once.
class EvalWindows {
public:
    /// Error when the span is too short, or a number makes no sense.
    EvalWindows(Span span, int64_t context, int64_t tokens);
    int64_t count() const { return count_; }
    /// First token of window i.
    int64_t start(int64_t i) const;
    /// Tokens that window i predicts: the context, except for the last window of a whole span.
    int64_t length(int64_t i) const;

private:
    Span span_;
    int64_t context_, count_;
    bool whole_;
};

}  // namespace nib
