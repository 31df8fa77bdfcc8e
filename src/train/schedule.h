// The learning rate of every step.
#pragma once

#include <cstdint>
#include <string>

namespace nib {

/// Learning rate over the steps: linear warm-up, then one of five curves (nanoGPT's conventions). InverseSqrt is Vaswani et
/// al. 2017, equation 3, with lr for the rate at the peak: lr min(sqrt(W / n), n / W) in step n = k + 1 with W = warmup
/// + 1. The paper's factor is lr = 1 / sqrt(channels W), 7e-4 for 512 channels and 4000 steps.
struct Schedule {
    enum class Kind { Constant, Linear, Step, Cosine, InverseSqrt };
    Kind kind = Kind::Cosine;
    double lr = 1e-3;       // after warm-up
    double min_lr = 0;      // Linear, Cosine: from step `horizon` on
    int64_t warmup = 0;     // steps; step k of them has lr (k + 1) / (warmup + 1)
    int64_t horizon = 0;    // Linear, Cosine: the step at which min_lr is reached
    int64_t step_size = 1;  // Step: steps (after warm-up) between two decays
    double gamma = 1;       // Step: factor of each decay

    /// Learning rate of step k = 0, 1, ...
    double at(int64_t k) const;
};

/// "constant", "linear", "step", "cosine" or "inverse-sqrt"; UsageError that lists them for anything else.
Schedule::Kind schedule_kind(const std::string& name);

/// UsageError when a value is NaN, infinite, negative or makes no sense; the message names the option.
void check_schedule(const Schedule& schedule);

}  // namespace nib
