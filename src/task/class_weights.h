// How much the examples of each class count in a loss.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nib {

/// A weight for each label: "name=2,other=0.5", where labels that are not named have 1; "balanced", which is
/// n / (labels count) for a label that `count` of the n examples have, as scikit-learn has it; empty: all have 1. Error for
/// names that are no labels and for weights that are not above 0.
std::vector<float> parse_class_weights(const std::string& text, std::span<const std::string> labels,
                                       std::span<const int64_t> counts);

}  // namespace nib
