// Timing, and the limits of the machine.
#pragma once

#include <functional>
#include <vector>

#include "cpu/backend.h"

namespace nib {

/// Seconds of a steady clock.
double now();
double median(std::vector<double> values);
/// Median seconds of `work`: at least `runs` runs, and half a second.
double time_of(const std::function<void()>& work, int runs = 5);

struct Limits {
    double flops = 0;      // operations per second, all threads
    double bandwidth = 0;  // bytes read per second, all threads
};

/// Measures them with the backend's kernels and threads. Error when its kernels have no vectors.
Limits measure_limits(CpuBackend& backend);
/// The second one alone.
double measure_bandwidth(CpuBackend& backend);

}  // namespace nib
