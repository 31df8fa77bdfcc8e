// Draws the losses of a training run as an SVG image.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace nib {

struct LossPoint {
    int64_t step = 0;
    double loss = 0;
};

/// An SVG of training losses (averaged over stretches of steps where there are many) and validation losses by step.
std::string loss_curve_svg(const std::string& title, std::span<const LossPoint> train, std::span<const LossPoint> val);

}  // namespace nib
