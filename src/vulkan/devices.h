// The Vulkan devices of this machine, to be listed and chosen from. Including this needs no Vulkan header.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nib::vulkan {

/// The properties of a device that matter to nib. Sizes are in bytes.
struct DeviceInfo {
    std::string name, type, driver, api;  // "AMD Radeon 780M", "integrated", "radv Mesa 23.1", "1.3.246"
    bool software = false;                // it runs on the CPU
    bool unified = false;                 // all of its memory is host memory, and host-visible
    bool budget = false;                  // the driver reports how much memory is left
    uint64_t memory = 0;                  // the largest device-local heap
    uint64_t max_buffer_range = 0, max_allocation = 0;
    uint32_t shared_memory = 0, max_group = 0;  // of a workgroup: bytes, invocations
    uint32_t storage_buffers = 0;               // in a shader
    uint32_t subgroup = 0;                      // invocations
    bool subgroup_arithmetic = false;           // in compute shaders
    bool f16 = false, f16_storage = false, i8_dot = false, cooperative_matrix = false;
    std::string missing;  // what nib needs and it lacks; empty: nothing
};

struct DeviceList {
    std::vector<DeviceInfo> devices;
    std::string problem;  // why there are none, if the loader or the driver failed; else empty
};

/// All devices, in the loader's order. Does not throw where Vulkan is missing.
DeviceList list_devices();

}  // namespace nib::vulkan
