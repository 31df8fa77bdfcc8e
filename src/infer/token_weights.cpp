#include "infer/token_weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <xsimd/xsimd.hpp>

#include "infer/probabilities.h"

namespace nib {
namespace {

using Batch = xsimd::batch<float>;

std::array<float, Batch::size> lanes(Batch batch) {
    std::array<float, Batch::size> values;
    batch.store_unaligned(values.data());
    return values;
}

float largest(std::span<const float> logits) {
    Batch most(logits[0]);
    size_t i = 0;
    for (; i + Batch::size <= logits.size(); i += Batch::size) most = xsimd::max(most, Batch::load_unaligned(&logits[i]));
    const auto of_lanes = lanes(most);
    float all = *std::max_element(of_lanes.begin(), of_lanes.end());
    for (; i < logits.size(); ++i) all = std::max(all, logits[i]);
    return all;
}

}  // namespace

void TokenWeights::set(std::span<const float> logits) {
    const float most = largest(logits);
    const Batch most_of_all(most);
    for (size_t block = 0; block < blocks_.size(); ++block) {
        const size_t end = std::min(logits.size(), (block + 1) * kBlock);
        size_t i = block * kBlock;
        Batch sums(0.0f);
        for (; i + Batch::size <= end; i += Batch::size) {
            const Batch weight = xsimd::exp(Batch::load_unaligned(&logits[i]) - most_of_all);
            weight.store_unaligned(&weights_[i]);
            sums += weight;
        }
        const auto of_lanes = lanes(sums);
        float sum = std::accumulate(of_lanes.begin(), of_lanes.end(), 0.0f);
        for (; i < end; ++i) sum += weights_[i] = std::exp(logits[i] - most);
        blocks_[block] = static_cast<double>(sum);
    }
    most_ = static_cast<double>(most);
    whole_ = std::accumulate(blocks_.begin(), blocks_.end(), 0.0);
    if (!std::isfinite(whole_)) require_numbers(logits);
}

void TokenWeights::exclude(size_t token) {
    blocks_[token / kBlock] -= static_cast<double>(weights_[token]);
    weights_[token] = 0;
}

size_t TokenWeights::most_probable() const {
    return static_cast<size_t>(std::max_element(weights_.begin(), weights_.end()) - weights_.begin());
}

size_t TokenWeights::draw(double uniform) const {
    double left = uniform * std::accumulate(blocks_.begin(), blocks_.end(), 0.0);
    size_t block = 0;
    while (block + 1 < blocks_.size() && left >= blocks_[block]) left -= blocks_[block++];
    size_t chosen = weights_.size();  // none yet
    const size_t end = std::min(weights_.size(), (block + 1) * kBlock);
    for (size_t v = block * kBlock; v < end; ++v) {
        if (weights_[v] <= 0) continue;
        chosen = v;
        if ((left -= static_cast<double>(weights_[v])) < 0) break;
    }
    return chosen < weights_.size() ? chosen : most_probable();  // where rounding has led behind the last one
}

double TokenWeights::log_probability(std::span<const float> logits, size_t token) const {
    return static_cast<double>(logits[token]) - most_ - std::log(whole_);
}

}  // namespace nib
