// Draws the losses of a training run as an SVG image.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nib {

struct LossPoint {
    int64_t step = 0;
    double loss = 0;
};

/// A score of the validations: LossPoint::loss is its value.
struct ScoreCurve {
    std::string name;
    std::vector<LossPoint> points;
};
/// Of scores by their names, in the order of a log, the number of the one to draw: the first that is no part of the loss
/// ("mlm_loss"), which is what decides where there is a choice. As many as there are: none.
size_t drawn_score(std::span<const std::string> names);

/// An SVG of training losses (averaged over stretches of steps where there are many) and validation losses by step. One of
/// the scores (drawn_score()) has an axis of its own at the right; of all the last value is told.
std::string loss_curve_svg(const std::string& title, std::span<const LossPoint> train, std::span<const LossPoint> val,
                           std::span<const ScoreCurve> scores = {});

}  // namespace nib
