// The angles of rotary positions, as the input `rotation` of Graph::rope.
#pragma once

#include <span>
#include <vector>

#include "model/config.h"

namespace nib {

class Rope {
public:
    explicit Rope(const RopeConfig& config);

    /// Numbers for each row: cosines, then sines, of config.dimensions / 2 pairs; 0: the model has no rotary positions.
    int64_t width() const { return 2 * static_cast<int64_t>(frequencies_.size()); }
    /// Those of a row at `position`: (width).
    void rotation(int64_t position, std::span<float> out) const;

private:
    std::vector<float> frequencies_;  // radians for each position, by pair
};

/// Llama 3's scaling as llama.cpp has it: what the frequency of each pair is divided by (config.dimensions / 2).
std::vector<float> llama3_factors(const RopeConfig& config);
/// Sets the scaling that has these factors, with Llama 3's usual bounds of 1 and 4 turns. False when there is no such.
bool set_llama3_factors(RopeConfig& config, std::span<const float> factors);

}  // namespace nib
