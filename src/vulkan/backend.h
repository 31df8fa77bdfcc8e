// The Vulkan backend: runs plans on a GPU. Whoever includes this needs no Vulkan header.
#pragma once

#include <functional>
#include <memory>

#include "core/backend.h"

namespace nib::vulkan {

/// What to do with a message of the validation layer.
using Messages = std::function<void(const char* text)>;

/// Opens device `index` of list_devices(); -1: the one that is most likely fast. If `messages` is given, the Khronos
/// validation layer watches every call. Error when there is no loader, no driver, no such device, or no such layer.
std::unique_ptr<Backend> open_backend(int index, Messages messages = {});

}  // namespace nib::vulkan
