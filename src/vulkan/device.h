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
    std::byte* host = nullptr;  // its address for the host; null: the host does not see it
    bool cached = false;        // the host reads it as fast as its own memory
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
    /// Memory that the host sees or, if it need not, the device's own, which it may see all the same where memory is
    /// unified. Error when there is not enough.
    Buffer allocate(uint64_t bytes, bool host);
    void release(Buffer& buffer);

    /// A command buffer. begin() comes next.
    VkCommandBuffer new_commands();
    /// Starts recording, from an empty command buffer.
    void begin(VkCommandBuffer commands, VkCommandBufferUsageFlags usage) const;
    void free(VkCommandBuffer commands);
    /// Runs command buffers in order and waits for them: `first`, unless it is null, and `rest`, each in a submission of
    /// its own. After a failure nothing runs any more; every call returns the same failure.
    VkResult run(VkCommandBuffer first, std::span<const VkCommandBuffer> rest);
    /// What is recorded after this, and the host, sees what is written before it.
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
