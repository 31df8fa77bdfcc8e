// libvulkan, opened on first use, so that the binary also runs on machines without it.
#pragma once

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#include <string>

// The functions that nib calls, by what they are looked up with: nothing, an instance, a device.
// clang-format off
#define NIB_VK_GLOBAL(f) \
    f(vkCreateInstance)
#define NIB_VK_INSTANCE(f) \
    f(vkDestroyInstance) f(vkEnumeratePhysicalDevices) f(vkGetPhysicalDeviceProperties2) \
    f(vkGetPhysicalDeviceFeatures2) f(vkGetPhysicalDeviceMemoryProperties) \
    f(vkGetPhysicalDeviceQueueFamilyProperties) f(vkCreateDevice) f(vkGetDeviceProcAddr) \
    f(vkEnumerateDeviceExtensionProperties) f(vkGetPhysicalDeviceMemoryProperties2)
#define NIB_VK_DEVICE(f) \
    f(vkDestroyDevice) f(vkGetDeviceQueue) f(vkCreateBuffer) f(vkDestroyBuffer) \
    f(vkGetBufferMemoryRequirements) f(vkAllocateMemory) f(vkFreeMemory) f(vkBindBufferMemory) f(vkMapMemory) \
    f(vkCreateFence) f(vkDestroyFence) f(vkResetFences) f(vkWaitForFences) f(vkCreateCommandPool) \
    f(vkDestroyCommandPool) f(vkAllocateCommandBuffers) f(vkFreeCommandBuffers) f(vkBeginCommandBuffer) \
    f(vkEndCommandBuffer) f(vkQueueSubmit) f(vkCreateShaderModule) f(vkDestroyShaderModule) \
    f(vkCreateDescriptorSetLayout) f(vkDestroyDescriptorSetLayout) f(vkCreatePipelineLayout) \
    f(vkDestroyPipelineLayout) f(vkCreatePipelineCache) f(vkDestroyPipelineCache) f(vkGetPipelineCacheData) \
    f(vkCreateComputePipelines) f(vkDestroyPipeline) f(vkCreateDescriptorPool) \
    f(vkDestroyDescriptorPool) f(vkAllocateDescriptorSets) f(vkUpdateDescriptorSets) f(vkCmdBindPipeline) \
    f(vkCmdBindDescriptorSets) f(vkCmdPushConstants) f(vkCmdDispatch) f(vkCmdPipelineBarrier) \
    f(vkCmdCopyBuffer) f(vkCmdFillBuffer)
// clang-format on

namespace nib::vulkan {

/// These functions, for one instance and one device.
struct Functions {
#define NIB_VK_MEMBER(name) PFN_##name name = nullptr;
    NIB_VK_GLOBAL(NIB_VK_MEMBER)
    NIB_VK_INSTANCE(NIB_VK_MEMBER)
    NIB_VK_DEVICE(NIB_VK_MEMBER)
    PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr = nullptr;
#undef NIB_VK_MEMBER
};

/// Opens libvulkan.so.1. Returns what is wrong with it, or nothing.
std::string load(Functions& vk);
/// Looks up the functions of an instance, and of a device.
void load(Functions& vk, VkInstance instance);
void load(Functions& vk, VkDevice device);

/// Throws an Error with what failed and why, unless `result` is VK_SUCCESS.
void check(VkResult result, const char* what);

}  // namespace nib::vulkan
