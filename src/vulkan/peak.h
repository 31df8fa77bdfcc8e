// Measures a device's peak compute and copy rates.
#pragma once

#include "vulkan/recording.h"

namespace nib::vulkan {

/// From multiply-adds of shaders/peak.comp and bytes read and written by shaders/copy.comp.
Peak measure_peak(Backend& backend, const RecordingContext& context, Transfers& transfers, const Stopwatch& stopwatch);

}  // namespace nib::vulkan
