#include "vulkan/instance.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "vulkan/dispatch.h"

namespace nib::vulkan {
namespace {

constexpr std::string_view kPrefix = "Vulkan: ";  // of all messages
constexpr const char* kValidation = "VK_LAYER_KHRONOS_validation";

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data, void* messages) {
    (*static_cast<const Messages*>(messages))(data->pMessage);
    return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(Messages& messages) {
    VkDebugUtilsMessengerCreateInfoEXT info{};
    info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    info.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
    info.pfnUserCallback = on_message;
    info.pUserData = &messages;
    return info;
}

const char* type_name(VkPhysicalDeviceType type) {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return "integrated";
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "discrete";
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual";
        case VK_PHYSICAL_DEVICE_TYPE_CPU: return "software";
        default: return "other";
    }
}

// Whether all device-local memory is host-visible.
bool sees_all(const VkPhysicalDeviceMemoryProperties& memory) {
    const auto seen = [](VkMemoryType t) { return (t.propertyFlags & kUnifiedMemory) == kUnifiedMemory; };
    const auto first = std::find_if(memory.memoryTypes, memory.memoryTypes + memory.memoryTypeCount, seen);
    return first != memory.memoryTypes + memory.memoryTypeCount && first->heapIndex == largest_heap(memory);
}

// What nib's shaders need and the device lacks; empty: nothing.
std::string missing(const DeviceInfo& d, uint32_t version, bool computes) {
    if (version < VK_API_VERSION_1_1) return "Vulkan 1.1 or later";
    if (!computes) return "a compute queue";
    if (d.storage_buffers < kMaxBindings) return strprintf("%u storage buffers in a shader", kMaxBindings);
    if (d.max_group < kGroup) return strprintf("workgroups of %u", kGroup);
    return "";
}

}  // namespace

uint32_t largest_heap(const VkPhysicalDeviceMemoryProperties& memory) {
    const auto size = [](const VkMemoryHeap& h) { return h.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT ? h.size : 0; };
    const VkMemoryHeap* const end = memory.memoryHeaps + memory.memoryHeapCount;
    const auto less = [&](const VkMemoryHeap& a, const VkMemoryHeap& b) { return size(a) < size(b); };
    return static_cast<uint32_t>(std::max_element(memory.memoryHeaps, end, less) - memory.memoryHeaps);
}

int compute_family(std::span<const VkQueueFamilyProperties> families) {
    const auto find = [&](VkQueueFlags without) {
        const auto fits = [&](const VkQueueFamilyProperties& f) {
            return (f.queueFlags & (VK_QUEUE_COMPUTE_BIT | without)) == VK_QUEUE_COMPUTE_BIT;
        };
        const auto found = std::find_if(families.begin(), families.end(), fits);
        return found == families.end() ? -1 : static_cast<int>(found - families.begin());
    };
    const int alone = find(VK_QUEUE_GRAPHICS_BIT);
    return alone >= 0 ? alone : find(0);
}

Instance::Instance(Messages messages) : messages_(std::move(messages)) {
    if (const std::string problem = load(vk); !problem.empty()) fail("Vulkan: %s", problem.c_str());
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pApplicationName = "nib";
    application.apiVersion = VK_API_VERSION_1_1;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &application;
    const VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(messages_);
    const char* const extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    const VkValidationFeatureEnableEXT barriers = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    VkValidationFeaturesEXT validation{};
    validation.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
    validation.enabledValidationFeatureCount = 1;
    validation.pEnabledValidationFeatures = &barriers;
    validation.pNext = &messenger;  // also for messages while the instance is created
    if (messages_) {
        info.enabledLayerCount = info.enabledExtensionCount = 1;
        info.ppEnabledLayerNames = &kValidation;
        info.ppEnabledExtensionNames = &extension;
        info.pNext = &validation;
    }
    const VkResult started = vk.vkCreateInstance(&info, nullptr, &instance_);
    if (started == VK_ERROR_OUT_OF_HOST_MEMORY)  // the loader also says this of files that it cannot parse
        fail("Vulkan: its loader gives up; the .json file of a driver may be broken (starting: error %d)", started);
    check(started, "starting");
    load(vk, instance_);
    if (messages_) {
        const auto create = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
            vk.vkGetInstanceProcAddr(instance_, "vkCreateDebugUtilsMessengerEXT"));
        create(instance_, &messenger, nullptr, &messenger_);
    }
    uint32_t count = 0;
    vk.vkEnumeratePhysicalDevices(instance_, &count, nullptr);
    devices_.resize(count);
    vk.vkEnumeratePhysicalDevices(instance_, &count, devices_.data());
    devices_.resize(count);
}

Instance::~Instance() {
    if (instance_ == nullptr) return;
    if (messenger_ != nullptr) {
        const auto destroy = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
            vk.vkGetInstanceProcAddr(instance_, "vkDestroyDebugUtilsMessengerEXT"));
        destroy(instance_, messenger_, nullptr);
    }
    vk.vkDestroyInstance(instance_, nullptr);
}

int Instance::compute_family(VkPhysicalDevice device) const {
    uint32_t count = 0;
    vk.vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    vk.vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
    return vulkan::compute_family(families);
}

DeviceInfo Instance::describe(VkPhysicalDevice device) const {
    uint32_t count = 0;
    vk.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
    std::vector<VkExtensionProperties> extensions(count);
    vk.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, extensions.data());
    const auto has = [&](const char* name) {
        return std::any_of(extensions.begin(), extensions.end(),
                           [&](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, name) == 0; });
    };
    VkPhysicalDeviceDriverProperties driver{};
    driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
    VkPhysicalDeviceSubgroupProperties subgroup{};
    subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
    VkPhysicalDeviceMaintenance3Properties maintenance{};
    maintenance.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
    maintenance.pNext = &subgroup;
    VkPhysicalDeviceMaintenance4Properties sizes{};
    sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES;
    sizes.maxBufferSize = UINT64_MAX;
    sizes.pNext = &maintenance;
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &maintenance;
    if (has(VK_KHR_MAINTENANCE_4_EXTENSION_NAME)) properties.pNext = &sizes;
    if (has(VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME)) subgroup.pNext = &driver;
    vk.vkGetPhysicalDeviceProperties2(device, &properties);
    VkPhysicalDeviceShaderFloat16Int8Features small{};
    small.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES;
    VkPhysicalDevice16BitStorageFeatures storage{};
    storage.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES;
    if (has(VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME)) storage.pNext = &small;
    VkPhysicalDeviceFeatures2 features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    features.pNext = &storage;
    vk.vkGetPhysicalDeviceFeatures2(device, &features);
    VkPhysicalDeviceMemoryProperties memory{};
    vk.vkGetPhysicalDeviceMemoryProperties(device, &memory);

    const VkPhysicalDeviceProperties& p = properties.properties;
    DeviceInfo d;
    d.name = printable(p.deviceName);
    d.type = type_name(p.deviceType);
    d.software = p.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    d.driver = printable(std::string(driver.driverName) + (driver.driverInfo[0] ? " " : "") + driver.driverInfo);
    d.api = strprintf("%u.%u.%u", VK_API_VERSION_MAJOR(p.apiVersion), VK_API_VERSION_MINOR(p.apiVersion),
                      VK_API_VERSION_PATCH(p.apiVersion));
    d.memory = memory.memoryHeaps[largest_heap(memory)].size;
    d.unified = (d.software || p.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU) && sees_all(memory);
    d.budget = has(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    d.max_buffer_range = p.limits.maxStorageBufferRange;
    d.max_allocation = std::min(maintenance.maxMemoryAllocationSize, sizes.maxBufferSize);
    d.shared_memory = p.limits.maxComputeSharedMemorySize;
    d.max_group = std::min(p.limits.maxComputeWorkGroupInvocations, p.limits.maxComputeWorkGroupSize[0]);
    d.storage_buffers = std::min(p.limits.maxPerStageDescriptorStorageBuffers, p.limits.maxDescriptorSetStorageBuffers);
    d.subgroup = subgroup.subgroupSize;
    constexpr VkSubgroupFeatureFlags kSums = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    d.subgroup_arithmetic =
        (subgroup.supportedOperations & kSums) == kSums && (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    d.f16 = small.shaderFloat16;
    d.f16_storage = storage.storageBuffer16BitAccess;
    d.i8_dot = has(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    d.cooperative_matrix = has("VK_KHR_cooperative_matrix");
    d.missing = missing(d, p.apiVersion, compute_family(device) >= 0);
    return d;
}

DeviceList list_devices() {
    DeviceList list;
    try {
        const Instance instance;
        for (const VkPhysicalDevice device : instance.devices()) list.devices.push_back(instance.describe(device));
    } catch (const Error& error) {
        list.problem = error.what();
        list.problem.erase(0, list.problem.starts_with(kPrefix) ? kPrefix.size() : 0);
    }
    return list;
}

}  // namespace nib::vulkan
