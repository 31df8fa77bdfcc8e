#include "vulkan/device.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace nib::vulkan {
namespace {

// Timeout for submitted commands, in ns, and the extra for each command buffer, about a second of work for a small GPU.
// Software devices on busy machines take minutes for that.
constexpr uint64_t kPatience = 60'000'000'000, kPatienceForEach = 5'000'000'000, kPatienceWithSoftware = 10 * kPatience;

// Lower is better: a graphics card, then an integrated GPU, then others; software last.
int rank(const DeviceInfo& d) {
    return !d.missing.empty() ? 4 : d.type == "discrete" ? 0 : d.type == "integrated" ? 1 : d.software ? 3 : 2;
}

int choose(const std::vector<DeviceInfo>& devices, int index) {
    const int count = static_cast<int>(devices.size());
    if (count == 0) fail("Vulkan: there is no device on this machine");
    if (index >= count) fail("Vulkan: there is no device %d; this machine has %d", index, count);
    if (index >= 0) return index;
    const auto best = std::min_element(devices.begin(), devices.end(),
                                       [](const DeviceInfo& a, const DeviceInfo& b) { return rank(a) < rank(b); });
    if (index == kHardware && (best->software || rank(*best) > 1)) fail("Vulkan: there is no GPU that nib can use");
    return static_cast<int>(best - devices.begin());
}

DeviceInfo overridden(DeviceInfo d, const Overrides& o) {
    if (o.max_allocation > 0) d.max_allocation = o.max_allocation;
    if (o.max_buffer_range > 0) d.max_buffer_range = o.max_buffer_range;
    if (o.memory > 0) d.memory = o.memory;
    if (o.software) {
        d.software = *o.software;
        d.type = d.software ? "software" : "discrete";
    }
    d.unified = o.unified.value_or(d.unified);
    d.subgroup_arithmetic &= o.subgroup_arithmetic;
    return d;
}

}  // namespace

Device::Device(int index, Messages messages, const Overrides& overrides) : instance_(std::move(messages)) {
    std::vector<DeviceInfo> devices;
    for (const VkPhysicalDevice device : instance_.devices())
        devices.push_back(overridden(instance_.describe(device), overrides));
    index = choose(devices, index);
    info_ = devices[static_cast<size_t>(index)];
    if (!info_.missing.empty())
        fail("Vulkan: device %d, %s, cannot be used: it lacks %s", index, info_.name.c_str(), info_.missing.c_str());
    physical_ = instance_.devices()[static_cast<size_t>(index)];
    open();
    if (overrides.change_functions) overrides.change_functions(instance_.vk);
}

void Device::open() {
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    vk().vkGetPhysicalDeviceProperties2(physical_, &properties);
    properties_ = properties.properties;
    vk().vkGetPhysicalDeviceMemoryProperties(physical_, &memory_);
    const auto family = static_cast<uint32_t>(instance_.compute_family(physical_));
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
    check(vk().vkCreateDevice(physical_, &info, nullptr, &device_), "opening the device");
    load(instance_.vk, device_);
    vk().vkGetDeviceQueue(device_, family, 0, &queue_);
    VkCommandPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool.queueFamilyIndex = family;
    VkFenceCreateInfo fence{};
    fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    VkResult result = vk().vkCreateCommandPool(device_, &pool, nullptr, &commands_);
    if (result == VK_SUCCESS) result = vk().vkCreateFence(device_, &fence, nullptr, &fence_);
    if (result == VK_SUCCESS) return;
    vk().vkDestroyCommandPool(device_, commands_, nullptr);  // the destructor will not run
    vk().vkDestroyDevice(device_, nullptr);
    check(result, "opening the device");
}

Device::~Device() {
    if (hangs_) {
        instance_.abandon();
        return;
    }
    vk().vkDestroyFence(device_, fence_, nullptr);
    vk().vkDestroyCommandPool(device_, commands_, nullptr);
    vk().vkDestroyDevice(device_, nullptr);
}

// ---- memory ----------------------------------------------------------------------------------------------------------

// Vulkan guarantees a host-visible, coherent memory type.
uint32_t Device::memory_type(uint32_t allowed, bool host) const {
    constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    std::vector<VkMemoryPropertyFlags> wanted = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
    if (host)
        wanted = {kHostMemory | kCached, kHostMemory};
    else if (info_.unified)
        wanted.insert(wanted.begin(), {kUnifiedMemory | kCached, kUnifiedMemory});
    for (const VkMemoryPropertyFlags flags : wanted)
        for (uint32_t i = 0; i < memory_.memoryTypeCount; ++i)
            if ((allowed >> i & 1) && (memory_.memoryTypes[i].propertyFlags & flags) == flags) return i;
    fail("Vulkan: the device has no memory of the kind that buffers need");
}

// Only some drivers know how much memory other programs use.
uint64_t Device::room() const {
    const uint64_t room = info_.memory - std::min(info_.memory, allocated_);
    if (!info_.budget) return room;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 memory{};
    memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    memory.pNext = &budget;
    vk().vkGetPhysicalDeviceMemoryProperties2(physical_, &memory);
    const uint32_t heap = largest_heap(memory_);
    return std::min(room, budget.heapBudget[heap] - std::min(budget.heapBudget[heap], budget.heapUsage[heap]));
}

void Device::check_room(uint64_t bytes) const {
    if (const uint64_t left = room(); bytes > left)
        fail(
            "%s of memory are needed beside the %s in use, but the device %s has only %s left; choose a smaller model, "
            "batch or context",
            human_bytes(static_cast<double>(bytes)).c_str(), human_bytes(static_cast<double>(allocated_)).c_str(),
            info_.name.c_str(), human_bytes(static_cast<double>(left)).c_str());
}

Buffer Device::allocate(uint64_t bytes, bool host) {
    Buffer b;
    b.bytes = std::max<uint64_t>(bytes, 1);
    b.bytes += -b.bytes % 64;  // shaders read whole words
    allocated_ += b.bytes;
    try {
        make(b, host);
    } catch (...) {
        release(b);
        throw;
    }
    return b;
}

void Device::make(Buffer& b, bool host) const {
    const std::string what = "a buffer of " + human_bytes(static_cast<double>(b.bytes));
    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = b.bytes;
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    check(vk().vkCreateBuffer(device_, &info, nullptr, &b.buffer), what.c_str());
    VkMemoryRequirements needs{};
    vk().vkGetBufferMemoryRequirements(device_, b.buffer, &needs);
    VkMemoryAllocateInfo memory{};
    memory.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    memory.allocationSize = needs.size;
    memory.memoryTypeIndex = memory_type(needs.memoryTypeBits, host);
    const VkMemoryPropertyFlags flags = memory_.memoryTypes[memory.memoryTypeIndex].propertyFlags;
    const bool seen = host || (info_.unified && (flags & kHostMemory) == kHostMemory);
    check(vk().vkAllocateMemory(device_, &memory, nullptr, &b.memory), what.c_str());
    check(vk().vkBindBufferMemory(device_, b.buffer, b.memory, 0), what.c_str());
    void* place = nullptr;
    if (seen) check(vk().vkMapMemory(device_, b.memory, 0, VK_WHOLE_SIZE, 0, &place), what.c_str());
    b.host = static_cast<std::byte*>(place);
    b.cached = (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
}

void Device::release(Buffer& b) {
    allocated_ -= b.bytes;
    if (!hangs_) {
        vk().vkDestroyBuffer(device_, b.buffer, nullptr);
        vk().vkFreeMemory(device_, b.memory, nullptr);
    }
    b = {};
}

// ---- commands --------------------------------------------------------------------------------------------------------

VkCommandBuffer Device::new_commands() {
    VkCommandBufferAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = commands_;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    VkCommandBuffer commands = nullptr;
    check(vk().vkAllocateCommandBuffers(device_, &info, &commands), "recording commands");
    return commands;
}

void Device::begin(VkCommandBuffer commands, VkCommandBufferUsageFlags usage) const {
    VkCommandBufferBeginInfo start{};
    start.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    start.flags = usage;
    check(vk().vkBeginCommandBuffer(commands, &start), "recording commands");
}

void Device::free(VkCommandBuffer commands) {
    if (commands != nullptr && !hangs_) vk().vkFreeCommandBuffers(device_, commands_, 1, &commands);
}

VkResult Device::run(VkCommandBuffer first, std::span<const VkCommandBuffer> rest) {
    if (failure_ != VK_SUCCESS) return failure_;
    VkSubmitInfo infos[2]{};
    uint32_t count = 0;
    const auto add = [&](const VkCommandBuffer& commands) {
        VkSubmitInfo& info = infos[count++];
        info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
        info.commandBufferCount = 1;
        info.pCommandBuffers = &commands;
    };
    if (first != nullptr) add(first);
    // One submission is one job to the driver, and the kernel kills jobs that take too long.
    size_t given = 0;
    do {
        if (given < rest.size()) add(rest[given++]);
        const VkFence fence = given == rest.size() ? fence_ : nullptr;
        failure_ = vk().vkQueueSubmit(queue_, std::exchange(count, 0), infos, fence);
    } while (failure_ == VK_SUCCESS && given < rest.size());
    if (failure_ == VK_SUCCESS) {
        const uint64_t each = info_.software ? kPatienceWithSoftware : kPatienceForEach;
        failure_ = vk().vkWaitForFences(device_, 1, &fence_, VK_TRUE, kPatience + (given + (first != nullptr)) * each);
        hangs_ = failure_ != VK_SUCCESS && failure_ != VK_ERROR_DEVICE_LOST;
    } else {
        hangs_ = given > 1 && failure_ != VK_ERROR_DEVICE_LOST;  // earlier submissions may still run
    }
    if (failure_ == VK_SUCCESS) failure_ = vk().vkResetFences(device_, 1, &fence_);
    return failure_;
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

}  // namespace nib::vulkan
