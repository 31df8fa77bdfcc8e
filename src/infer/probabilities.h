// Logits as people read them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include "core/error.h"

namespace nib {

/// Error if one of a model's results is infinite or not a number.
inline void require_numbers(std::span<const float> results) {
    for (const float value : results)
        if (!(value < INFINITY))
            fail("the model's output is not a number; its weights are damaged or its training diverged");
}

/// log of the sum of exp of some logits, one at least.
inline double log_sum_exp(std::span<const float> logits) {
    const float most = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += static_cast<double>(std::exp(logit - most));
    return static_cast<double>(most) + std::log(sum);
}

struct Ranked {
    size_t index;
    double probability;
};

/// The `count` largest of the softmax of some logits, or all if there are fewer, the largest first.
inline std::vector<Ranked> most_probable(std::span<const float> logits, size_t count) {
    std::vector<size_t> order(logits.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size()));
    std::partial_sort(order.begin(), middle, order.end(),
                      [&](size_t a, size_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
    const double whole = log_sum_exp(logits);
    std::vector<Ranked> best;
    for (auto i = order.begin(); i != middle; ++i) best.push_back({*i, std::exp(static_cast<double>(logits[*i]) - whole)});
    return best;
}

}  // namespace nib
