// The connection to Vulkan: an instance and its physical devices.
#pragma once

#include <string>
#include <vector>

#include "vulkan/backend.h"
#include "vulkan/devices.h"
#include "vulkan/loader.h"

namespace nib::vulkan {

class Instance {
public:
    /// Error where there is no loader or driver, or if messages are wanted and the validation layer is not installed.
    explicit Instance(Messages messages = {});
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    const std::vector<VkPhysicalDevice>& devices() const { return devices_; }
    DeviceInfo describe(VkPhysicalDevice device) const;
    /// Number of a queue family that computes; -1: none.
    int compute_family(VkPhysicalDevice device) const;

    Functions vk;

private:
    Messages messages_;
    VkInstance instance_ = nullptr;
    VkDebugUtilsMessengerEXT messenger_ = nullptr;
    std::vector<VkPhysicalDevice> devices_;
};

}  // namespace nib::vulkan
