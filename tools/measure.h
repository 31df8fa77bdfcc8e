// Timing.
#pragma once

#include <functional>
#include <vector>

#include "core/backend.h"

namespace nib {

/// Seconds of a steady clock.
double now();
double median(std::vector<double> values);
/// Median seconds of `work`: at least `runs` runs, and half a second.
double time_of(const std::function<void()>& work, int runs = 5);
/// The limits of a device, by time_of().
Peak measure_peak(Backend& backend);

}  // namespace nib
