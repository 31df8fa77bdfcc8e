// Timing.
#pragma once

#include <functional>
#include <vector>

#include "core/backend.h"

namespace nib {

/// Seconds of a steady clock.
double now();
double median(std::vector<double> values);
/// Median seconds of `work`, after a warm-up run: at least `runs` runs, for at least half a second.
double time_of(const std::function<void()>& work, int runs = 5);
/// The peak rates of a device, measured with time_of().
Peak measure_peak(Backend& backend);

}  // namespace nib
