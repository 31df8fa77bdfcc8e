// The Vulkan backend: runs plans on a GPU. Whoever includes this needs no Vulkan header.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/backend.h"

namespace nib::vulkan {

/// What to do with a message of the validation layer.
using Messages = std::function<void(const char* text)>;

struct Functions;

/// What to take a device for, in tests; where nothing is said, for what it is.
struct Overrides {
    uint64_t max_allocation = 0, max_buffer_range = 0, memory = 0;  // bytes; 0: the device's own
    std::optional<bool> software{}, unified{};
    bool subgroup_arithmetic = true;                     // used if the device has it
    double max_work = 0, max_launch = 0;                 // multiply-adds of a command buffer, of a launch; 0: as usual
    std::function<void(Functions&)> change_functions{};  // some of Vulkan's own for others
};

/// Where what a driver has made of the shaders is kept from one start to the next, by a file name. What they throw is
/// ignored.
struct ShaderStore {
    std::function<std::string(const std::string& name)> load;  // empty: there is nothing
    std::function<void(const std::string& name, const std::string& bytes)> save;
};

constexpr int kBest = -1;      // the device that is most likely fast
constexpr int kHardware = -2;  // the same, but no software device

/// Opens device `index` of list_devices(), or kBest or kHardware. If `messages` is given, the Khronos validation layer
/// watches every call. Error when there is no loader, no driver, no such device, or no such layer.
std::unique_ptr<Backend> open_backend(int index, Messages messages = {}, const Overrides& overrides = {},
                                      ShaderStore store = {});

}  // namespace nib::vulkan
