// Copies between the host and buffers of the device: where the host sees a buffer at once, elsewhere through one that both
// see.
#pragma once

#include <span>

#include "vulkan/device.h"

namespace nib::vulkan {

class Transfers {
public:
    explicit Transfers(Device& device);
    ~Transfers();
    Transfers(const Transfers&) = delete;
    Transfers& operator=(const Transfers&) = delete;

    /// Copies, or records a copy, which finish() or run_before() runs; it is run before when the staging buffer is full.
    void upload(const Buffer& to, uint64_t offset, std::span<const std::byte> bytes);
    /// Zeroes the whole buffer, or records that.
    void clear(const Buffer& buffer);
    /// Runs what is recorded and reads what then stands in `from`.
    void download(const Buffer& from, uint64_t offset, std::span<std::byte> bytes);
    void finish() {
        if (recording_) run_before({});
    }
    /// Runs what is recorded and then `commands`, in one submission.
    void run_before(std::span<const VkCommandBuffer> commands);

private:
    const Buffer& staging();  // made when it is first needed, which may be never
    VkCommandBuffer recording();

    Device& device_;
    Buffer staging_;
    VkCommandBuffer commands_ = nullptr;
    bool recording_ = false;  // commands_ has something that waits
    uint64_t used_ = 0;       // bytes of staging_ that wait to be copied
};

}  // namespace nib::vulkan
