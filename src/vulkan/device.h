// An open device: its queue and memory.
#pragma once

#include <span>
#include <vector>

#include "vulkan/instance.h"

namespace nib::vulkan {

struct Buffer {
    VkBuffer buffer = nullptr;
    VkDeviceMemory memory = nullptr;
    uint64_t bytes = 0;
    std::byte* host = nullptr;  // where the host maps it; null: not host-visible
    bool cached = false;        // the host reads it through its caches
};

class Device {
public:
    /// Device `index` of list_devices(), or kBest or kHardware. Error when there is none that nib can use.
    Device(int index, Messages messages, const Overrides& overrides);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    const Functions& vk() const { return instance_.vk; }
    VkDevice handle() const { return device_; }
    const DeviceInfo& info() const { return info_; }
    const VkPhysicalDeviceProperties& properties() const { return properties_; }
    /// Bindings begin at multiples of this.
    uint64_t offset_alignment() const { return properties_.limits.minStorageBufferOffsetAlignment; }

    /// Error, with the sizes, if there is not enough memory for `bytes` more.
    void check_room(uint64_t bytes) const;
    /// Host-visible memory, or else device-local memory, which is host-visible, too, where memory is unified. Error when
    /// there is not enough.
    Buffer allocate(uint64_t bytes, bool host);
    void release(Buffer& buffer);

    /// A new command buffer, to be started with begin().
    VkCommandBuffer new_commands();
    /// Resets a command buffer and starts recording.
    void begin(VkCommandBuffer commands, VkCommandBufferUsageFlags usage) const;
    void free(VkCommandBuffer commands);
    /// Runs command buffers in order and waits for them: `first`, unless it is null, and `rest`, each in a submission of
    /// its own. After a failure nothing runs any more; every call returns the same failure.
    VkResult run(VkCommandBuffer first, std::span<const VkCommandBuffer> rest);
    /// Makes earlier writes visible to later commands and to the host.
    void barrier(VkCommandBuffer commands) const;
    /// The device may still be running commands. What they use must not be released.
    bool hangs() const { return hangs_; }

private:
    void open();
    uint32_t memory_type(uint32_t allowed, bool host) const;
    void make(Buffer& b, bool host) const;
    uint64_t room() const;

    Instance instance_;
    DeviceInfo info_;
    VkPhysicalDevice physical_ = nullptr;
    VkPhysicalDeviceProperties properties_{};
    VkPhysicalDeviceMemoryProperties memory_{};
    uint64_t allocated_ = 0;
    VkDevice device_ = nullptr;
    VkQueue queue_ = nullptr;
    VkCommandPool commands_ = nullptr;
    VkFence fence_ = nullptr;
    VkResult failure_ = VK_SUCCESS;
    bool hangs_ = false;
};

}  // namespace nib::vulkan
