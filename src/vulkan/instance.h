// The connection to Vulkan: an instance and its physical devices.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "vulkan/backend.h"
#include "vulkan/devices.h"
#include "vulkan/loader.h"

namespace nib::vulkan {

constexpr VkMemoryPropertyFlags kHostMemory = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kUnifiedMemory = kHostMemory | VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;

/// The largest device-local heap.
uint32_t largest_heap(const VkPhysicalDeviceMemoryProperties& memory);

/// Index of the queue family to compute on; -1: none. Prefers one without graphics, which keeps a desktop responsive.
int compute_family(std::span<const VkQueueFamilyProperties> families);

class Instance {
public:
    /// Error if there is no loader or driver, or messages are wanted and the validation layer is not installed.
    explicit Instance(Messages messages = {});
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    /// Never destroys the instance: a driver that hangs might not return from that.
    void abandon() { instance_ = nullptr; }

    const std::vector<VkPhysicalDevice>& devices() const { return devices_; }
    DeviceInfo describe(VkPhysicalDevice device) const;
    /// compute_family() of a device.
    int compute_family(VkPhysicalDevice device) const;

    Functions vk;

private:
    Messages messages_;
    VkInstance instance_ = nullptr;
    VkDebugUtilsMessengerEXT messenger_ = nullptr;
    std::vector<VkPhysicalDevice> devices_;
};

}  // namespace nib::vulkan
