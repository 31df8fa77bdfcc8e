// What a device can do at most, for `nib bench`.
#pragma once

#include "vulkan/recording.h"

namespace nib::vulkan {

/// Multiply-adds of shaders/peak.comp; bytes read and written by shaders/copy.comp.
Peak measure_peak(Backend& backend, const RecordingContext& context, Transfers& transfers, const Stopwatch& stopwatch);

}  // namespace nib::vulkan
