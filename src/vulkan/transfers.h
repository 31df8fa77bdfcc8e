// Copies between the host and buffers of the device, through a buffer that both see.
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

    /// Records a copy, which finish() or run_before() runs; it is run before when the staging buffer is full.
    void upload(const Buffer& to, uint64_t offset, std::span<const std::byte> bytes);
    /// Records zeroing the whole buffer.
    void clear(const Buffer& buffer);
    /// Runs what is recorded and reads what then stands in `from`.
    void download(const Buffer& from, uint64_t offset, std::span<std::byte> bytes);
    void finish();
    /// Runs what is recorded and then `commands`, in one submission.
    void run_before(VkCommandBuffer commands);

private:
    VkCommandBuffer recording();
    void run(std::span<const VkCommandBuffer> commands);

    Device& device_;
    Buffer staging_;
    VkCommandBuffer recorded_ = nullptr;  // null: nothing is waiting
    uint64_t used_ = 0;                   // bytes of staging_ that wait to be copied
};

}  // namespace nib::vulkan
