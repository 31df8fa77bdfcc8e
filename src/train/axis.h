// The axis of a diagram, drawn with whatever units.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace nib {

struct Axis {
    double low = 0, high = 1, from = 0, to = 1;  // values, and where they are drawn

    double at(double value) const { return from + (value - low) / (high - low) * (to - from); }

    /// About `count` round values, `least` or more apart.
    std::vector<double> ticks(int count, double least) const {
        std::vector<double> found;
        const double step = std::max(least, tick_step(count));
        for (double i = std::ceil(low / step - 1e-9) + 0.0; i * step <= high + step * 1e-9; ++i) found.push_back(i * step);
        return found;
    }

private:
    // 1, 2 or 5 times a power of ten.
    double tick_step(int count) const {
        const double raw = (high - low) / count, power = std::pow(10.0, std::floor(std::log10(raw)));
        for (const double factor : {1.0, 2.0, 5.0})
            if (raw <= factor * power) return factor * power;
        return 10 * power;
    }
};

}  // namespace nib
