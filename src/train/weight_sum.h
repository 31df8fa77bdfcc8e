// The sum of a training's weights at several steps, of which their mean is made (Vaswani et al. 2017, section 6.1).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "train/train_step.h"

namespace nib {

class WeightSum {
public:
    /// Adds the weights as they are, without those that are frozen.
    void add(const TrainStep& train);
    void clear() { sums_.clear(); }

    /// Room for the sums of a parameter, which are zero until something was added; none of frozen ones.
    std::span<float> of(const TrainStep& train, size_t parameter);
    std::span<const float> of(size_t parameter) const { return sums_[parameter]; }

private:
    std::vector<std::vector<float>> sums_;  // by parameter
};

}  // namespace nib
