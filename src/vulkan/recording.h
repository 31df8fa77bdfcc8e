// Records a plan into command buffers.
#pragma once

#include <memory>

#include "core/plan.h"
#include "vulkan/memory.h"
#include "vulkan/pipelines.h"

namespace nib::vulkan {

/// Host-visible copies of a plan's small results, made by each run where device memory is not host-visible.
struct Results {
    explicit Results(Device& device) : device(device) {}
    ~Results() { device.release(buffer); }
    Results(const Results&) = delete;
    Results& operator=(const Results&) = delete;
    /// The copy of `bytes` at `where`, or null if there is none.
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
    std::vector<VkCommandBuffer> commands;  // each of bounded work, so that other programs get a turn
    Buffer scratch;
    std::shared_ptr<Results> results;
};

/// What recording needs.
struct RecordingContext {
    Device& device;
    Pipelines& pipelines;
    const Memory& memory;
    const Buffer& step;                   // StepValues
    double max_work = 0, max_launch = 0;  // multiply-adds of a command buffer, of a launch
    Limits limits() const;
};

/// Error when the plan needs more memory than the device has, or larger tensors than it can bind.
std::unique_ptr<Recording> record(const Plan& plan, const RecordingContext& context);
/// The same, with the launches of each node given.
std::unique_ptr<Recording> record(const Plan& plan, std::vector<std::vector<Dispatch>> launches,
                                  const RecordingContext& context);

}  // namespace nib::vulkan
