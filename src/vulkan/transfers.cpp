#include "vulkan/transfers.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace nib::vulkan {
namespace {

constexpr uint64_t kStagingBytes = 4 << 20;

}  // namespace

Transfers::Transfers(Device& device) : device_(device), staging_(device.allocate(kStagingBytes, true)) {}

Transfers::~Transfers() {
    device_.free(recorded_);
    device_.release(staging_);
}

VkCommandBuffer Transfers::recording() {
    if (recorded_ == nullptr) {
        recorded_ = device_.begin(VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
        device_.barrier(recorded_);
    }
    return recorded_;
}

// Ends the recording, too, when it is one of them.
void Transfers::run(std::span<const VkCommandBuffer> commands) {
    const VkCommandBuffer ended = std::exchange(recorded_, nullptr);
    used_ = 0;
    VkResult result = ended != nullptr ? device_.vk().vkEndCommandBuffer(ended) : VK_SUCCESS;
    if (result == VK_SUCCESS) result = device_.run(commands);
    device_.free(ended);
    check(result, "running a step");
}

void Transfers::finish() {
    if (recorded_ != nullptr) run(std::array{recorded_});
}

void Transfers::run_before(VkCommandBuffer commands) {
    if (recorded_ != nullptr)
        run(std::array{recorded_, commands});
    else
        run(std::array{commands});
}

void Transfers::upload(const Buffer& to, uint64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        if (used_ == kStagingBytes) finish();
        const auto count = std::min<uint64_t>(bytes.size(), kStagingBytes - used_);
        std::memcpy(staging_.host + used_, bytes.data(), count);
        const VkBufferCopy copy{used_, offset, count};
        const VkCommandBuffer commands = recording();
        device_.vk().vkCmdCopyBuffer(commands, staging_.buffer, to.buffer, 1, &copy);
        device_.barrier(commands);
        used_ += count;
        offset += count;
        bytes = bytes.subspan(count);
    }
}

void Transfers::clear(const Buffer& buffer) {
    const VkCommandBuffer commands = recording();
    device_.vk().vkCmdFillBuffer(commands, buffer.buffer, 0, VK_WHOLE_SIZE, 0);
    device_.barrier(commands);
}

void Transfers::download(const Buffer& from, uint64_t offset, std::span<std::byte> bytes) {
    finish();
    while (!bytes.empty()) {
        const auto count = std::min<uint64_t>(bytes.size(), kStagingBytes);
        const VkBufferCopy copy{offset, 0, count};
        const VkCommandBuffer commands = recording();
        device_.vk().vkCmdCopyBuffer(commands, from.buffer, staging_.buffer, 1, &copy);
        device_.barrier(commands);
        finish();
        std::memcpy(bytes.data(), staging_.host, count);
        offset += count;
        bytes = bytes.subspan(count);
    }
}

}  // namespace nib::vulkan
