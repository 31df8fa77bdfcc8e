// Copies between the host and device buffers: directly if a buffer is host-visible, else through a staging buffer.
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

    /// Copies at once, or records the copy for finish() or run_before(). Runs what is recorded when the staging buffer is
    /// full.
    void upload(const Buffer& to, uint64_t offset, std::span<const std::byte> bytes);
    /// Fills the buffer with zeros, at once or as above.
    void clear(const Buffer& buffer);
    /// Runs what is recorded, then reads from `from`.
    void download(const Buffer& from, uint64_t offset, std::span<std::byte> bytes);
    /// Records a copy on the device for finish().
    void copy(const Buffer& from, uint64_t from_offset, const Buffer& to, uint64_t to_offset, uint64_t bytes);
    void finish() {
        if (recording_) run_before({});
    }
    /// Runs what is recorded and then `commands`, in one submission.
    void run_before(std::span<const VkCommandBuffer> commands);

private:
    const Buffer& staging();  // allocated when it is first needed
    VkCommandBuffer recording();

    Device& device_;
    Buffer staging_;
    VkCommandBuffer commands_ = nullptr;
    bool recording_ = false;  // commands_ is not empty
    uint64_t used_ = 0;       // bytes of staging_
};

}  // namespace nib::vulkan
