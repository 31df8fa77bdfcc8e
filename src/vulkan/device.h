// An opened device: its queue, memory, and pipelines.
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>

#include "vulkan/dispatch.h"
#include "vulkan/instance.h"

namespace nib::vulkan {

struct Buffer {
    VkBuffer buffer = nullptr;
    VkDeviceMemory memory = nullptr;
    uint64_t bytes = 0;
    std::byte* host = nullptr;  // where the host sees it; null: it does not
};

/// A shader with its constants, ready to be launched.
struct Pipeline {
    VkDescriptorSetLayout set_layout = nullptr;
    VkPipelineLayout layout = nullptr;
    VkPipeline pipeline = nullptr;
};

/// What a shader reads a binding as.
VkDescriptorType descriptor_type(const Shader& shader, uint32_t binding);

class Device {
public:
    /// Device `index` of list_devices(); -1: the one that is most likely fast. Error when there is none that nib can use.
    Device(int index, Messages messages, const Overrides& overrides);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    const Functions& vk() const { return instance_.vk; }
    VkDevice handle() const { return device_; }
    const DeviceInfo& info() const { return info_; }
    /// What the start of a binding must be a multiple of.
    uint64_t offset_alignment() const { return offset_alignment_; }
    /// Elements that a texel buffer may have.
    uint64_t max_texels() const { return max_texels_; }

    /// Memory of the device's own, or such as the host sees. Error when there is not enough.
    Buffer allocate(uint64_t bytes, bool host);
    void release(Buffer& buffer);

    /// A command buffer that is being recorded.
    VkCommandBuffer begin(VkCommandBufferUsageFlags usage);
    void free(VkCommandBuffer commands);
    /// Runs recorded command buffers in order and waits for them.
    VkResult run(std::span<const VkCommandBuffer> commands);
    /// All that is recorded before writes before anything after reads or writes, on the device and on the host.
    void barrier(VkCommandBuffer commands) const;

    /// Compiled when it is first asked for.
    const Pipeline& pipeline(const Shader& shader, const Constants& constants);

private:
    void open(VkPhysicalDevice device);
    uint32_t memory_type(uint32_t allowed, bool host) const;

    Instance instance_;
    DeviceInfo info_;
    uint64_t offset_alignment_ = 1, max_texels_ = 0;
    VkPhysicalDeviceMemoryProperties memory_{};
    VkDevice device_ = nullptr;
    VkQueue queue_ = nullptr;
    VkCommandPool commands_ = nullptr;
    VkFence fence_ = nullptr;
    std::map<std::pair<const Shader*, Constants>, Pipeline> pipelines_;
};

}  // namespace nib::vulkan
