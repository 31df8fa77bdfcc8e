#include "task/examples.h"

#include <algorithm>

#include "core/error.h"
#include "core/philox.h"

namespace nib {

int64_t shuffled(uint64_t seed, uint64_t n, int64_t count) {
    if (count < 1) fail("there is nothing to shuffle");
    const auto size = static_cast<uint64_t>(count);
    const uint64_t epoch = n / size;
    uint32_t half = 1;  // bits of each half of a number
    while (half < 32 && (uint64_t{1} << 2 * half) < size) ++half;
    const uint64_t mask = (uint64_t{1} << half) - 1;
    uint64_t x = n % size;
    do {
        uint64_t left = x >> half, right = x & mask;
        for (uint32_t round = 0; round < 4; ++round) {
            const auto words = philox({static_cast<uint32_t>(right), static_cast<uint32_t>(epoch << 2 | round),
                                       kShuffleStream, static_cast<uint32_t>(epoch >> 30)},
                                      seed);
            const uint64_t next = left ^ (words[0] & mask);
            left = right;
            right = next;
        }
        x = left << half | right;
    } while (x >= size);
    return static_cast<int64_t>(x);
}

int64_t drawn(const TaskTexts& texts, uint32_t step, uint32_t row, int64_t count) {
    return shuffled(texts.seed, uint64_t{step} * static_cast<uint64_t>(texts.rows) + row, count);
}

DocumentRange documents_within(const TokenText& text, Span span) {
    const auto number_at = [&](int64_t token) {
        if (token >= text.size()) return text.documents();
        const int64_t number = text.document_of(token);
        return text.document(number).begin == token ? number : number + 1;
    };
    const int64_t first = number_at(span.begin);
    return {first, number_at(span.end) - first};
}

EvalExamples::EvalExamples(const TaskTexts& texts, const char* unit, int64_t train, int64_t validation) : all_(validation) {
    if (train == 0 || (texts.validation_span.size() > 0 && validation == 0))
        fail("there are too few %ss: %lld to train and %lld to validate, and each takes one at least", unit,
             static_cast<long long>(train), static_cast<long long>(validation));
    const int64_t about = std::max<int64_t>(texts.validation_tokens / texts.context, 1);
    count_ = texts.validation_tokens == 0 ? validation : std::min(validation, about);
}

int64_t EvalExamples::number(int64_t i) const {
    // i all / count, without its overflow.
    const int64_t each = all_ / count_, rest = all_ % count_;
    return i * each + i * rest / count_;
}

}  // namespace nib
