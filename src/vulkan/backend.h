// The Vulkan backend: runs plans on a GPU. Including this needs no Vulkan header.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/backend.h"

namespace nib::vulkan {

/// Called with each message of the validation layer.
using Messages = std::function<void(const char* text)>;

struct Functions;

/// For tests: overrides of device properties and limits. The defaults are the device's own.
struct Overrides {
    uint64_t max_allocation = 0, max_buffer_range = 0, memory = 0;  // bytes; 0: the device's own
    std::optional<bool> software{}, unified{};
    bool subgroup_arithmetic = true;                     // false: not used even if the device has it
    double max_work = 0, max_launch = 0;                 // multiply-adds of a command buffer, of a launch; 0: the default
    std::function<void(Functions&)> change_functions{};  // replaces some of Vulkan's functions
};

/// Stores compiled shaders between runs of the program, by file name. Exceptions from these functions are ignored.
struct ShaderStore {
    std::function<std::string(const std::string& name)> load;  // empty: not found
    std::function<void(const std::string& name, const std::string& bytes)> save;
};

constexpr int kBest = -1;      // the device that is probably the fastest
constexpr int kHardware = -2;  // the same, but never a software device

/// Opens device `index` of list_devices(), or kBest or kHardware. If `messages` is given, the Khronos validation layer
/// watches every call. Error when there is no loader, no driver, no such device, or no such layer.
std::unique_ptr<Backend> open_backend(int index, Messages messages = {}, const Overrides& overrides = {},
                                      ShaderStore store = {});

}  // namespace nib::vulkan
