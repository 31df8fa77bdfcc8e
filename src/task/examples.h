// Which examples of a set a training takes, without remembering any.
#pragma once

#include <cstdint>

#include "task/task.h"

namespace nib {

/// The example, of `count`, that a training takes as number `n`: in every epoch each one once, and in another order than
/// in the epoch before. A Feistel network over the next power of four, walked until a number is in range (Black and
/// Rogaway 2002), so that it can be asked for any n alone.
int64_t shuffled(uint64_t seed, uint64_t n, int64_t count);

/// The one that a row of a step trains on.
int64_t drawn(const TaskTexts& texts, uint32_t step, uint32_t row, int64_t count);

/// The documents that begin within a span of a text.
struct DocumentRange {
    int64_t first = 0, count = 0;
};
DocumentRange documents_within(const TokenText& text, Span span);

/// Those that validate: evenly spaced ones, which predict about as many tokens as a training asks for.
class EvalExamples {
public:
    /// Of `train` and `validation` examples of a task, called `unit`. Error when either has none, but a part of the text
    /// that validates may be empty.
    EvalExamples(const TaskTexts& texts, const char* unit, int64_t train, int64_t validation);
    int64_t count() const { return count_; }
    /// The number of the i-th.
    int64_t number(int64_t i) const;

private:
    int64_t all_, count_;
};

}  // namespace nib
