#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

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

double frequency_of(const RopeConfig& c, size_t pair) {
    return 1 / std::pow(static_cast<double>(c.base), 2 * static_cast<double>(pair) / static_cast<double>(c.dimensions));
}

}  // namespace

// Angles are products of floats, as in transformers: at large positions the rounding shows.
Rope::Rope(const RopeConfig& c) : frequencies_(static_cast<size_t>(c.dimensions / 2)) {
    for (size_t i = 0; i < frequencies_.size(); ++i) {
        double frequency = frequency_of(c, i);
        if (c.scaling == RopeConfig::Scaling::Linear) frequency /= c.factor;
        if (c.scaling == RopeConfig::Scaling::Llama3) frequency = llama3_scaled(frequency, c);
        frequencies_[i] = static_cast<float>(frequency);
    }
}

void Rope::rotation(int64_t position, std::span<float> out) const {
    const size_t pairs = frequencies_.size();
    if (out.size() != 2 * pairs) fail("a rotation has %zu numbers, not %zu", 2 * pairs, out.size());
    for (size_t i = 0; i < pairs; ++i) {
        const float angle = static_cast<float>(position) * frequencies_[i];
        out[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
        out[pairs + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
}

std::vector<float> llama3_factors(const RopeConfig& c) {
    std::vector<float> factors;
    for (size_t i = 0; i < static_cast<size_t>(c.dimensions / 2); ++i)
        factors.push_back(static_cast<float>(frequency_of(c, i) / llama3_scaled(frequency_of(c, i), c)));
    return factors;
}

// The largest factor is the scaling's. A pair in between tells the original context, by llama3_scaled() solved for it;
// where there is none, any context gives these factors that gives them for the pairs at both sides, and Llama 3's is tried.
bool set_llama3_factors(RopeConfig& config, std::span<const float> factors) {
    if (factors.empty() || factors.size() != static_cast<size_t>(config.dimensions / 2)) return false;
    RopeConfig c = config;
    c.scaling = RopeConfig::Scaling::Llama3;
    c.factor = *std::max_element(factors.begin(), factors.end());
    c.low_frequency = 1, c.high_frequency = 4, c.original_context = 8192;
    if (!(c.factor >= 1) || !std::isfinite(c.factor)) return false;
    for (size_t i = 0; i < factors.size(); ++i) {
        if (!(factors[i] > 1.001f && factors[i] < 0.999f * c.factor)) continue;
        const double slow = 1 / static_cast<double>(c.factor),
                     share = (1 / static_cast<double>(factors[i]) - slow) / (1 - slow);
        const double context = (1 + 3 * share) * 2 * std::numbers::pi / frequency_of(c, i);
        if (!(context < 1e9)) return false;
        c.original_context = std::llround(context);
        break;
    }
    const std::vector<float> expected = llama3_factors(c);
    for (size_t i = 0; i < factors.size(); ++i)
        if (!(std::abs(factors[i] - expected[i]) <= 1e-3f * expected[i])) return false;
    config = c;
    return true;
}

}  // namespace nib
