// How many floating-point operations training steps and prefills take, for benchmarks.
#pragma once

#include "model/config.h"

namespace nib {

/// Elements of the matrices that each token is multiplied by, without the head's.
inline double block_elements(const ModelConfig& c) {
    const auto C = static_cast<double>(c.embd), F = static_cast<double>(c.feed_forward());
    return static_cast<double>(c.layers) * (4 * C * C + 2 * C * F);
}

inline double head_elements(const ModelConfig& c) { return static_cast<double>(c.vocab) * static_cast<double>(c.embd); }

/// Additions and multiplications of the matrix products of forward and backward for B sequences of T tokens: 6 per token
/// and matrix element, of causal attention's two products (forward) and five (backward) the half that is not masked.
inline double training_flops(const ModelConfig& c, int64_t batch, int64_t time) {
    const auto real = [](int64_t n) { return static_cast<double>(n); };
    const double attention = 7 * real(c.layers) * real(c.embd) * real(time);  // 7 products, 2 operations, half of T keys
    return real(batch) * real(time) * (6 * (block_elements(c) + head_elements(c)) + attention);
}

/// Those of the forward pass alone over a sequence of T tokens, with logits after the last one only.
inline double prefill_flops(const ModelConfig& c, int64_t time) {
    const auto T = static_cast<double>(time);
    const double attention = 2 * static_cast<double>(c.layers) * static_cast<double>(c.embd) * T;
    return T * (2 * block_elements(c) + attention) + 2 * head_elements(c);
}

}  // namespace nib
