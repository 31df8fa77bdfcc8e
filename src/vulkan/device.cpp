#include "vulkan/device.h"

#include <algorithm>

#include "core/error.h"

namespace nib::vulkan {
namespace {

// The device to take when nobody says which: a graphics card, then a built-in one, software last.
int best(const std::vector<DeviceInfo>& devices) {
    const auto rank = [](const DeviceInfo& d) {
        return !d.missing.empty() ? 4 : d.type == "discrete" ? 0 : d.type == "integrated" ? 1 : d.software ? 3 : 2;
    };
    const auto found = std::min_element(devices.begin(), devices.end(),
                                        [&](const DeviceInfo& a, const DeviceInfo& b) { return rank(a) < rank(b); });
    return found == devices.end() ? -1 : static_cast<int>(found - devices.begin());
}

DeviceInfo overridden(DeviceInfo d, const Overrides& o) {
    if (o.max_allocation > 0) d.max_allocation = o.max_allocation;
    if (o.max_buffer_range > 0) d.max_buffer_range = o.max_buffer_range;
    if (o.memory > 0) d.memory = o.memory;
    d.software = o.software.value_or(d.software);
    d.unified = o.unified.value_or(d.unified);
    return d;
}

}  // namespace

Device::Device(int index, Messages messages, const Overrides& overrides) : instance_(std::move(messages)) {
    std::vector<DeviceInfo> devices;
    for (const VkPhysicalDevice device : instance_.devices()) devices.push_back(instance_.describe(device));
    const int count = static_cast<int>(devices.size());
    if (count == 0) fail("Vulkan: there is no device on this machine");
    if (index < 0) index = best(devices);
    if (index >= count) fail("Vulkan: there is no device %d; this machine has %d (see `nib devices`)", index, count);
    info_ = overridden(devices[static_cast<size_t>(index)], overrides);
    if (!info_.missing.empty())
        fail("Vulkan: device %d, %s, cannot be used: it lacks %s", index, info_.name.c_str(), info_.missing.c_str());
    open(instance_.devices()[static_cast<size_t>(index)]);
}

void Device::open(VkPhysicalDevice physical) {
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    vk().vkGetPhysicalDeviceProperties2(physical, &properties);
    const VkPhysicalDeviceLimits& limits = properties.properties.limits;
    offset_alignment_ = std::max(limits.minStorageBufferOffsetAlignment, limits.minTexelBufferOffsetAlignment);
    max_texels_ = limits.maxTexelBufferElements;
    vk().vkGetPhysicalDeviceMemoryProperties(physical, &memory_);
    const auto family = static_cast<uint32_t>(instance_.compute_family(physical));
    const float priority = 1;
    VkDeviceQueueCreateInfo queue{};
    queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue.queueFamilyIndex = family;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    check(vk().vkCreateDevice(physical, &info, nullptr, &device_), "opening the device");
    load(instance_.vk, device_);
    vk().vkGetDeviceQueue(device_, family, 0, &queue_);
    VkCommandPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.queueFamilyIndex = family;
    VkFenceCreateInfo fence{};
    fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    VkResult result = vk().vkCreateCommandPool(device_, &pool, nullptr, &commands_);
    if (result == VK_SUCCESS) result = vk().vkCreateFence(device_, &fence, nullptr, &fence_);
    if (result == VK_SUCCESS) return;
    vk().vkDestroyCommandPool(device_, commands_, nullptr);  // the destructor does not run
    vk().vkDestroyDevice(device_, nullptr);
    check(result, "opening the device");
}

Device::~Device() {
    for (auto& [key, p] : pipelines_) {
        vk().vkDestroyPipeline(device_, p.pipeline, nullptr);
        vk().vkDestroyPipelineLayout(device_, p.layout, nullptr);
        vk().vkDestroyDescriptorSetLayout(device_, p.set_layout, nullptr);
    }
    vk().vkDestroyFence(device_, fence_, nullptr);
    vk().vkDestroyCommandPool(device_, commands_, nullptr);
    vk().vkDestroyDevice(device_, nullptr);
}

// ---- memory ----------------------------------------------------------------------------------------------------------

// Vulkan promises a coherent type that the host sees, and any type for what it does not.
uint32_t Device::memory_type(uint32_t allowed, bool host) const {
    constexpr VkMemoryPropertyFlags kSeen = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    constexpr VkMemoryPropertyFlags kCached = kSeen | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    constexpr VkMemoryPropertyFlags kOwn = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    const VkMemoryPropertyFlags wanted = host ? kCached : kOwn, needed = host ? kSeen : 0;
    for (const VkMemoryPropertyFlags flags : {wanted, needed})
        for (uint32_t i = 0; i < memory_.memoryTypeCount; ++i)
            if ((allowed >> i & 1) && (memory_.memoryTypes[i].propertyFlags & flags) == flags) return i;
    fail("Vulkan: the device has no memory of the kind that buffers need");
}

Buffer Device::allocate(uint64_t bytes, bool host) {
    const uint64_t most = std::min(info_.max_allocation, info_.memory);
    if (bytes > most)
        fail("a buffer of %s is needed, but the device %s has room for one of %s; choose a smaller model, batch or context",
             human_bytes(static_cast<double>(bytes)).c_str(), info_.name.c_str(),
             human_bytes(static_cast<double>(most)).c_str());
    Buffer b;
    b.bytes = std::max<uint64_t>(bytes, 1);
    b.bytes += -b.bytes % 64;  // shaders read whole words
    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = b.bytes;
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    VkResult result = vk().vkCreateBuffer(device_, &info, nullptr, &b.buffer);
    check(result, "making a buffer");
    VkMemoryRequirements needs{};
    vk().vkGetBufferMemoryRequirements(device_, b.buffer, &needs);
    VkMemoryAllocateInfo memory{};
    memory.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    memory.allocationSize = needs.size;
    memory.memoryTypeIndex = memory_type(needs.memoryTypeBits, host);
    result = vk().vkAllocateMemory(device_, &memory, nullptr, &b.memory);
    if (result == VK_SUCCESS) result = vk().vkBindBufferMemory(device_, b.buffer, b.memory, 0);
    void* seen = nullptr;
    if (result == VK_SUCCESS && host) result = vk().vkMapMemory(device_, b.memory, 0, VK_WHOLE_SIZE, 0, &seen);
    b.host = static_cast<std::byte*>(seen);
    if (result != VK_SUCCESS) release(b);
    check(result, ("a buffer of " + human_bytes(static_cast<double>(bytes))).c_str());
    return b;
}

void Device::release(Buffer& b) {
    vk().vkDestroyBuffer(device_, b.buffer, nullptr);
    vk().vkFreeMemory(device_, b.memory, nullptr);
    b = {};
}

// ---- commands --------------------------------------------------------------------------------------------------------

VkCommandBuffer Device::begin(VkCommandBufferUsageFlags usage) {
    VkCommandBufferAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = commands_;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    VkCommandBuffer commands = nullptr;
    check(vk().vkAllocateCommandBuffers(device_, &info, &commands), "recording commands");
    VkCommandBufferBeginInfo start{};
    start.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    start.flags = usage;
    check(vk().vkBeginCommandBuffer(commands, &start), "recording commands");
    return commands;
}

void Device::free(VkCommandBuffer commands) {
    if (commands != nullptr) vk().vkFreeCommandBuffers(device_, commands_, 1, &commands);
}

VkResult Device::run(std::span<const VkCommandBuffer> commands) {
    VkSubmitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.commandBufferCount = static_cast<uint32_t>(commands.size());
    info.pCommandBuffers = commands.data();
    VkResult result = vk().vkQueueSubmit(queue_, 1, &info, fence_);
    if (result == VK_SUCCESS) result = vk().vkWaitForFences(device_, 1, &fence_, VK_TRUE, UINT64_MAX);
    return result == VK_SUCCESS ? vk().vkResetFences(device_, 1, &fence_) : result;
}

void Device::barrier(VkCommandBuffer commands) const {
    constexpr VkPipelineStageFlags kStages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    VkMemoryBarrier memory{};
    memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    memory.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    memory.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                           VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_READ_BIT;
    vk().vkCmdPipelineBarrier(commands, kStages, kStages | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &memory, 0, nullptr, 0,
                              nullptr);
}

// ---- pipelines -------------------------------------------------------------------------------------------------------

namespace {

std::vector<uint32_t> unpack(std::span<const uint8_t> code) {
    std::vector<uint32_t> words;
    uint32_t word = 0;
    for (unsigned shift = 0; const uint8_t byte : code) {
        word |= (byte & 127u) << shift;
        shift += 7;
        if (byte & 128) continue;
        words.push_back(word);
        word = shift = 0;
    }
    return words;
}

}  // namespace

VkDescriptorType descriptor_type(const Shader& shader, uint32_t binding) {
    const bool texels = binding > 0 && (shader.texels >> (binding - 1) & 1) != 0;
    return texels ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
}

const Pipeline& Device::pipeline(const Shader& shader, const Constants& constants) {
    const auto [known, is_new] = pipelines_.try_emplace({&shader, constants});
    Pipeline& p = known->second;
    if (!is_new && p.pipeline != nullptr) return p;
    std::vector<VkDescriptorSetLayoutBinding> bindings;
    for (uint32_t i = 0; i <= kTensors; ++i)
        if (i == 0 || (shader.tensors >> (i - 1) & 1))
            bindings.push_back({i, descriptor_type(shader, i), 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
    CHECK(bindings.size() <= kMaxBindings);
    VkDescriptorSetLayoutCreateInfo set{};
    set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    set.bindingCount = static_cast<uint32_t>(bindings.size());
    set.pBindings = bindings.data();
    check(vk().vkCreateDescriptorSetLayout(device_, &set, nullptr, &p.set_layout), "preparing a shader");
    const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(Push)};
    VkPipelineLayoutCreateInfo layout{};
    layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    layout.setLayoutCount = 1;
    layout.pSetLayouts = &p.set_layout;
    layout.pushConstantRangeCount = 1;
    layout.pPushConstantRanges = &push;
    check(vk().vkCreatePipelineLayout(device_, &layout, nullptr, &p.layout), "preparing a shader");

    VkShaderModuleCreateInfo code{};
    code.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    const std::vector<uint32_t> words = unpack(shader.code);
    code.codeSize = words.size() * sizeof words[0];
    code.pCode = words.data();
    VkShaderModule module = nullptr;
    check(vk().vkCreateShaderModule(device_, &code, nullptr, &module), "preparing a shader");
    constexpr VkSpecializationMapEntry kEntries[] = {
        {0, offsetof(Constants, group),         4},
        {1, offsetof(Constants, D),             4},
        {2, offsetof(Constants, type),          4},
        {3, offsetof(Constants, position_type), 4},
        {4, offsetof(Constants, fours),         4}
    };
    const VkSpecializationInfo special{std::size(kEntries), kEntries, sizeof constants, &constants};
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &special;
    info.layout = p.layout;
    const VkResult result = vk().vkCreateComputePipelines(device_, nullptr, 1, &info, nullptr, &p.pipeline);
    vk().vkDestroyShaderModule(device_, module, nullptr);
    check(result, "compiling a shader");
    return p;
}

}  // namespace nib::vulkan
