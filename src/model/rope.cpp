#include "model/rope.h"

#include <cmath>
#include <numbers>

namespace nib {
namespace {

// Llama 3.1's: pairs that turn less than low_frequency times within the original context go slower by `factor`, those that
// turn more than high_frequency times stay, and those between are interpolated.
double llama3_scaled(double frequency, const RopeConfig& c) {
    const double turns = static_cast<double>(c.original_context) * frequency / (2 * std::numbers::pi);
    const double low = c.low_frequency, high = c.high_frequency, factor = c.factor;
    if (turns < low) return frequency / factor;
    if (turns > high) return frequency;
    const double share = (turns - low) / (high - low);
    return (1 - share) * frequency / factor + share * frequency;
}

}  // namespace

// Angles are products of floats, as in transformers: at large positions the rounding shows.
Rope::Rope(const RopeConfig& c) : frequencies_(static_cast<size_t>(c.dimensions / 2)) {
    for (size_t i = 0; i < frequencies_.size(); ++i) {
        const double exponent = 2 * static_cast<double>(i) / static_cast<double>(c.dimensions);
        double frequency = 1 / std::pow(static_cast<double>(c.base), exponent);
        if (c.scaling == RopeConfig::Scaling::Linear) frequency /= c.factor;
        if (c.scaling == RopeConfig::Scaling::Llama3) frequency = llama3_scaled(frequency, c);
        frequencies_[i] = static_cast<float>(frequency);
    }
}

void Rope::rotation(int64_t position, std::span<float> out) const {
    const size_t pairs = frequencies_.size();
    for (size_t i = 0; i < pairs; ++i) {
        const float angle = static_cast<float>(position) * frequencies_[i];
        out[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
        out[pairs + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
}

}  // namespace nib
