// The softmax of one row of logits, from which a token is drawn.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace nib {

class TokenWeights {
public:
    explicit TokenWeights(size_t vocab) : weights_(vocab), blocks_((vocab + kBlock - 1) / kBlock) {}

    /// Takes logits (V). Error when one is not a number.
    void set(std::span<const float> logits);
    /// Makes a token impossible; log_probability() of the others stays.
    void exclude(size_t token);

    size_t most_probable() const;
    /// By the inverse of the cumulative distribution: `uniform` is from 0 to below 1.
    size_t draw(double uniform) const;
    /// In nats, among all tokens.
    double log_probability(std::span<const float> logits, size_t token) const;

private:
    static constexpr size_t kBlock = 64;

    std::vector<float> weights_;  // exp(logit - the largest one)
    std::vector<double> blocks_;  // sums of kBlock of them
    double most_ = 0, whole_ = 0;
};

}  // namespace nib
