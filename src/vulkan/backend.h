// The Vulkan backend: runs plans on a GPU. Whoever includes this needs no Vulkan header.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/backend.h"

namespace nib::vulkan {

/// What to do with a message of the validation layer.
using Messages = std::function<void(const char* text)>;

/// What to take a device for, in tests; where nothing is said, for what it is.
struct Overrides {
    uint64_t max_allocation = 0, max_buffer_range = 0, memory = 0;  // bytes; 0: the device's own
    std::optional<bool> software, unified;
};

/// Opens device `index` of list_devices(); -1: the one that is most likely fast. If `messages` is given, the Khronos
/// validation layer watches every call. Error when there is no loader, no driver, no such device, or no such layer.
std::unique_ptr<Backend> open_backend(int index, Messages messages = {}, const Overrides& overrides = {});

}  // namespace nib::vulkan
