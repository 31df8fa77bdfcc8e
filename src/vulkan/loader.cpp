#include "vulkan/loader.h"

#include <dlfcn.h>

#include "core/error.h"

namespace nib::vulkan {
namespace {

const char* reason(VkResult result) {
    switch (result) {
        case VK_ERROR_OUT_OF_HOST_MEMORY: return "there is not enough memory";
        case VK_ERROR_OUT_OF_DEVICE_MEMORY:
            return "the device has not enough memory; choose a smaller model, batch or context";
        case VK_ERROR_INITIALIZATION_FAILED: return "the driver did not start";
        case VK_TIMEOUT: return "the device does not answer; its driver may hang";
        case VK_ERROR_DEVICE_LOST: return "the device stopped answering; its driver may have reset it";
        case VK_ERROR_LAYER_NOT_PRESENT: return "a layer is not installed";
        case VK_ERROR_EXTENSION_NOT_PRESENT:
        case VK_ERROR_FEATURE_NOT_PRESENT: return "the device lacks a feature";
        case VK_ERROR_INCOMPATIBLE_DRIVER: return "there is no driver, or it is too old";
        default: return "the driver gave up";
    }
}

struct Library {
    void* const handle = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    const std::string problem =  // dlerror() returns it only once
        handle == nullptr ? std::string("its loader cannot be opened: ") + printable(dlerror()) : "";
};

}  // namespace

std::string load(Functions& vk) {
    static const Library& library = *new Library();  // never closed: drivers leave threads behind
    if (library.handle == nullptr) return library.problem;
    vk.vkGetInstanceProcAddr = reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library.handle, "vkGetInstanceProcAddr"));
    if (vk.vkGetInstanceProcAddr == nullptr) return "libvulkan.so.1 is not Vulkan's loader";
#define NIB_VK_LOAD(name) vk.name = reinterpret_cast<PFN_##name>(vk.vkGetInstanceProcAddr(nullptr, #name));
    NIB_VK_GLOBAL(NIB_VK_LOAD)
#undef NIB_VK_LOAD
    return "";
}

void load(Functions& vk, VkInstance instance) {
#define NIB_VK_LOAD(name) vk.name = reinterpret_cast<PFN_##name>(vk.vkGetInstanceProcAddr(instance, #name));
    NIB_VK_INSTANCE(NIB_VK_LOAD)
#undef NIB_VK_LOAD
}

void load(Functions& vk, VkDevice device) {
#define NIB_VK_LOAD(name) vk.name = reinterpret_cast<PFN_##name>(vk.vkGetDeviceProcAddr(device, #name));
    NIB_VK_DEVICE(NIB_VK_LOAD)
#undef NIB_VK_LOAD
}

void check(VkResult result, const char* what) {
    if (result != VK_SUCCESS) fail("Vulkan: %s (%s: error %d)", reason(result), what, static_cast<int>(result));
}

}  // namespace nib::vulkan
