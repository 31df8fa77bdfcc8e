#include "vulkan/transfers.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace nib::vulkan {
namespace {

constexpr uint64_t kStagingBytes = 4 << 20;

}  // namespace

Transfers::Transfers(Device& device) : device_(device), commands_(device.new_commands()) {}

Transfers::~Transfers() {
    device_.free(commands_);
    device_.release(staging_);
}

const Buffer& Transfers::staging() {
    if (staging_.buffer == nullptr) staging_ = device_.allocate(kStagingBytes, true);
    return staging_;
}

VkCommandBuffer Transfers::recording() {
    if (!recording_) {
        device_.begin(commands_, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
        device_.barrier(commands_);
        recording_ = true;
    }
    return commands_;
}

void Transfers::run_before(std::span<const VkCommandBuffer> commands) {
    const bool recorded = std::exchange(recording_, false);
    used_ = 0;
    VkResult result = recorded ? device_.vk().vkEndCommandBuffer(commands_) : VK_SUCCESS;
    if (result == VK_SUCCESS) result = device_.run(recorded ? commands_ : nullptr, commands);
    check(result, "running a step");
}

void Transfers::upload(const Buffer& to, uint64_t offset, std::span<const std::byte> bytes) {
    if (to.host != nullptr && !bytes.empty()) {
        std::memcpy(to.host + offset, bytes.data(), bytes.size());
        return;
    }
    while (!bytes.empty()) {
        if (used_ == kStagingBytes) finish();
        const auto count = std::min<uint64_t>(bytes.size(), kStagingBytes - used_);
        std::memcpy(staging().host + used_, bytes.data(), count);
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
    if (buffer.host != nullptr) {
        std::memset(buffer.host, 0, buffer.bytes);
        return;
    }
    const VkCommandBuffer commands = recording();
    device_.vk().vkCmdFillBuffer(commands, buffer.buffer, 0, VK_WHOLE_SIZE, 0);
    device_.barrier(commands);
}

void Transfers::download(const Buffer& from, uint64_t offset, std::span<std::byte> bytes) {
    finish();
    if (from.host != nullptr && from.cached && !bytes.empty()) {
        std::memcpy(bytes.data(), from.host + offset, bytes.size());
        return;
    }
    while (!bytes.empty()) {
        const auto count = std::min<uint64_t>(bytes.size(), kStagingBytes);
        const VkBufferCopy copy{offset, 0, count};
        const VkCommandBuffer commands = recording();
        device_.vk().vkCmdCopyBuffer(commands, from.buffer, staging().buffer, 1, &copy);
        device_.barrier(commands);
        finish();
        std::memcpy(bytes.data(), staging_.host, count);
        offset += count;
        bytes = bytes.subspan(count);
    }
}

void Transfers::copy(const Buffer& from, uint64_t from_offset, const Buffer& to, uint64_t to_offset, uint64_t bytes) {
    const VkBufferCopy region{from_offset, to_offset, bytes};
    device_.vk().vkCmdCopyBuffer(recording(), from.buffer, to.buffer, 1, &region);
}

}  // namespace nib::vulkan
