// How many floating-point operations a training step takes, for benchmarks.
#pragma once

#include "model/config.h"

namespace nib {

/// Additions and multiplications of the matrix products of forward and backward for B sequences of T tokens: 6 per token
/// and matrix element, of causal attention's two products (forward) and five (backward) the half that is not masked.
inline double training_flops(const GptConfig& c, int64_t batch, int64_t time) {
    const auto real = [](int64_t n) { return static_cast<double>(n); };
    const double C = real(c.embd), F = real(c.feed_forward()), rows = real(batch) * real(time);
    const double matrices = real(c.layers) * (4 * C * C + 2 * C * F) + real(c.vocab) * C;
    const double attention = real(c.layers) * 7 * C * real(time);  // 7 products, 2 operations, half of T keys
    return rows * (6 * matrices + attention);
}

}  // namespace nib
