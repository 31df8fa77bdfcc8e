#include "model/sinusoids.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nib {

void sinusoid(const EncoderDecoderConfig& config, int64_t position, std::span<float> out) {
    const size_t channels = out.size(), sines = (channels + 1) / 2;
    const double steps = static_cast<double>(channels) / 2 - (config.slowest_is_base ? 1 : 0);  // from 1 to 1/10000
    const auto p = static_cast<double>(position + config.first_position);
    for (size_t c = 0; c < channels; ++c) {
        const auto i = static_cast<double>(c < sines ? c : c - sines);
        const double angle = p / std::pow(10000, i / std::max(steps, 1.0));
        out[c] = static_cast<float>(c < sines ? std::sin(angle) : std::cos(angle));
    }
}

Sinusoids::Sinusoids(Graph& g, const ModelConfig& config, int64_t batch, int64_t time, RowCount rows)
    : config_(config.encoder_decoder), channels_(config.embd), whole_(batch * time >= config.context) {
    const int64_t size = whole_ ? config.context : batch * time;
    table_ = g.input("sinusoids", {size, channels_}, DType::F32);
    rows_ = g.input("sinusoid rows", {batch, time}, DType::I32, rows);
    all_.resize(static_cast<size_t>(config.context * channels_));
    known_.resize(static_cast<size_t>(config.context));
    if (whole_) return;
    values_.resize(static_cast<size_t>(size * channels_));
    numbers_.resize(static_cast<size_t>(size));
    std::iota(numbers_.begin(), numbers_.end(), 0);
}

std::span<const float> Sinusoids::at(int32_t position) {
    const auto p = static_cast<size_t>(position), channels = static_cast<size_t>(channels_);
    const std::span<float> values = std::span(all_).subspan(p * channels, channels);
    if (!known_[p]) sinusoid(config_, position, values);
    known_[p] = true;
    return values;
}

void Sinusoids::set(const Plan& plan, std::span<const int32_t> positions) {
    if (!table_) return;
    for (size_t r = 0; r < positions.size(); ++r) {
        const std::span<const float> values = at(positions[r]);
        if (!whole_)
            std::copy(values.begin(), values.end(), values_.begin() + static_cast<std::ptrdiff_t>(r * values.size()));
    }
    plan.set<float>(table_, whole_ ? all_ : values_);
    plan.set<int32_t>(rows_, whole_ ? positions : std::span<const int32_t>(numbers_));
}

}  // namespace nib
