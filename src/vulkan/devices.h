// The Vulkan devices of this machine, for people and for choosing one. Plain data: whoever includes it needs no Vulkan
// header.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nib::vulkan {

/// What matters here of a device. Sizes are in bytes.
struct DeviceInfo {
    std::string name, type, driver, api;  // "AMD Radeon 780M", "integrated", "radv Mesa 23.1", "1.3.246"
    bool software = false;                // a CPU that plays a GPU
    bool unified = false;                 // its memory is the host's, which sees all of it
    bool budget = false;                  // its driver tells how much memory others leave
    uint64_t memory = 0;                  // of the largest heap that is the device's own
    uint64_t max_buffer_range = 0, max_allocation = 0;
    uint32_t shared_memory = 0, max_group = 0;  // of a workgroup: bytes, invocations
    uint32_t storage_buffers = 0;               // that a shader may use
    uint32_t subgroup = 0;                      // invocations
    bool subgroup_arithmetic = false;           // shaders may sum over subgroups
    bool f16 = false, f16_storage = false, i8_dot = false, cooperative_matrix = false;
    std::string missing;  // why nib cannot use it; empty: it can
};

struct DeviceList {
    std::vector<DeviceInfo> devices;
    std::string problem;  // why there can be none: no loader, no driver, in words; empty otherwise
};

/// All devices, in the loader's order. Throws nothing for what a machine may lack.
DeviceList list_devices();

}  // namespace nib::vulkan
