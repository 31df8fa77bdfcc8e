#include "model/sinusoids.h"

#include <cmath>
#include <numeric>

namespace nib {

void sinusoid(int64_t position, std::span<float> out) {
    const size_t channels = out.size(), sines = (channels + 1) / 2;
    for (size_t c = 0; c < channels; ++c) {
        const double i = static_cast<double>(c < sines ? c : c - sines);
        const double angle = static_cast<double>(position) / std::pow(10000, 2 * i / static_cast<double>(channels));
        out[c] = static_cast<float>(c < sines ? std::sin(angle) : std::cos(angle));
    }
}

Sinusoids::Sinusoids(Graph& g, const ModelConfig& config, int64_t batch, int64_t time, RowCount rows)
    : channels_(config.embd), whole_(batch * time >= config.context) {
    const int64_t size = whole_ ? config.context : batch * time;
    table_ = g.input("sinusoids", {size, channels_}, DType::F32);
    rows_ = g.input("sinusoid rows", {batch, time}, DType::I32, rows);
    known_.assign(static_cast<size_t>(size), -1);
    values_.resize(static_cast<size_t>(size * channels_));
    numbers_.resize(known_.size());
    std::iota(numbers_.begin(), numbers_.end(), 0);
}

void Sinusoids::set(const Plan& plan, std::span<const int32_t> positions) {
    if (!table_) return;
    const std::span<const int32_t> wanted = whole_ ? numbers_ : positions;
    const auto channels = static_cast<size_t>(channels_);
    for (size_t r = 0; r < known_.size(); ++r) {
        if (known_[r] == wanted[r]) continue;
        known_[r] = wanted[r];
        sinusoid(wanted[r], std::span(values_).subspan(r * channels, channels));
    }
    plan.set<float>(table_, values_);
    plan.set<int32_t>(rows_, whole_ ? positions : std::span<const int32_t>(numbers_));
}

}  // namespace nib
