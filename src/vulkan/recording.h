// How a plan becomes command buffers.
#pragma once

#include <memory>

#include "core/plan.h"
#include "vulkan/memory.h"
#include "vulkan/pipelines.h"

namespace nib::vulkan {

/// Where the host does not see the device's memory, small results of a plan are copied to where it does, by each run.
struct Results {
    explicit Results(Device& device) : device(device) {}
    ~Results() { device.release(buffer); }
    Results(const Results&) = delete;
    Results& operator=(const Results&) = delete;
    /// Where the host finds the first `bytes` of what lies at `where`; null: nowhere.
    const std::byte* find(Location where, uint64_t bytes) const;

    struct Copy {
        Location where;
        uint64_t bytes = 0, at = 0;  // in the buffer
    };
    Device& device;
    std::vector<Copy> copies;
    Buffer buffer;
};

/// A plan's commands, recorded once.
struct Recording : Executable {
    explicit Recording(Device& device) : device(device), results(std::make_shared<Results>(device)) {}
    ~Recording() override;
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

    Device& device;
    VkDescriptorPool pool = nullptr;
    std::vector<VkCommandBuffer> commands;  // each of bounded work, so that none keeps the device from others for long
    Buffer scratch;
    std::shared_ptr<Results> results;
};

/// What recording leans on.
struct RecordingContext {
    Device& device;
    Pipelines& pipelines;
    const Memory& memory;
    const Buffer& step;                   // StepValues
    double max_work = 0, max_launch = 0;  // multiply-adds of a command buffer, of a launch
    Limits limits() const;
};

/// Error when the plan needs more than the device gives.
std::unique_ptr<Recording> record(const Plan& plan, const RecordingContext& context);
/// The same with these launches of each node.
std::unique_ptr<Recording> record(const Plan& plan, std::vector<std::vector<Dispatch>> launches,
                                  const RecordingContext& context);

}  // namespace nib::vulkan
