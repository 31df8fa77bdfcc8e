// An opened device: its queue and memory.
#pragma once

#include <span>
#include <vector>

#include "vulkan/instance.h"

namespace nib::vulkan {

struct Buffer {
    VkBuffer buffer = nullptr;
    VkDeviceMemory memory = nullptr;
    uint64_t bytes = 0;
    std::byte* host = nullptr;  // where the host sees it; null: it does not
    bool cached = false;        // the host reads it as fast as memory of its own
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
    /// What the start of a binding must be a multiple of.
    uint64_t offset_alignment() const { return properties_.limits.minStorageBufferOffsetAlignment; }

    /// Error, with the sizes, unless there is memory for `bytes` more.
    void check_room(uint64_t bytes) const;
    /// Memory of the device's own, which the host sees only where it is unified, or such as the host sees. Error when there
    /// is not enough.
    Buffer allocate(uint64_t bytes, bool host);
    void release(Buffer& buffer);

    /// A command buffer, for begin().
    VkCommandBuffer new_commands();
    /// Starts recording; what was recorded before is gone.
    void begin(VkCommandBuffer commands, VkCommandBufferUsageFlags usage) const;
    void free(VkCommandBuffer commands);
    /// Runs recorded command buffers in order, each of `rest` in a submission of its own, `first` if it is not
    /// null, and waits for them. After a failure nothing runs any more: it is returned again.
    VkResult run(VkCommandBuffer first, std::span<const VkCommandBuffer> rest);
    /// All that is recorded before writes before anything after reads or writes, on the device and on the host.
    void barrier(VkCommandBuffer commands) const;
    /// The device has not finished what it was given: what that uses must stay.
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
