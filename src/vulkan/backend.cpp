#include "vulkan/backend.h"

#include <cstring>

#include "core/error.h"
#include "core/plan.h"
#include "vulkan/peak.h"

namespace nib::vulkan {
namespace {

// Multiply-adds of a command buffer: about a second on a small board, whose kernel may kill what takes two.
constexpr double kMaxWork = 1e10;

class VulkanBackend : public Backend {
public:
    VulkanBackend(int index, Messages messages, const Overrides& overrides, ShaderStore store)
        : device_(index, std::move(messages), overrides),
          transfers_(device_),
          memory_(device_, transfers_),
          pipelines_(device_, std::move(store)),
          step_(device_.allocate(sizeof(StepValues), true)),
          max_work_(overrides.max_work > 0 ? overrides.max_work : kMaxWork),
          max_launch_(overrides.max_launch > 0 ? overrides.max_launch : kMaxLaunch) {}
    ~VulkanBackend() override { device_.release(step_); }

    std::string name() const override { return "vulkan " + device_.info().name; }
    bool supports(const Node& node) const override { return vulkan::supports(node); }
    size_t segment() const override { return memory_.segment(); }
    int map_weights(std::span<const std::byte> bytes, std::span<const size_t> cuts) override {
        return memory_.map_weights(bytes, cuts);
    }
    int allocate(size_t bytes) override { return memory_.allocate(bytes); }
    void release(int buffer) override {
        last_.clear();
        memory_.release(buffer);
    }
    void upload(Location to, std::span<const std::byte> bytes) override;
    void download(Location from, std::span<std::byte> bytes) const override;
    void copy(std::span<const Copy> copies) override;
    void prepare(Plan& plan) override;
    void run(const Plan& plan, const Step& step) override {
        const Plan* const one = &plan;
        run_in_turn({&one, 1}, step);
    }
    void run_in_turn(std::span<const Plan* const> plans, const Step& step) override;
    Peak measure_peak(const Stopwatch& stopwatch) override {
        return vulkan::measure_peak(*this, context(), transfers_, stopwatch);
    }

private:
    RecordingContext context() { return {device_, pipelines_, memory_, step_, max_work_, max_launch_}; }

    Device device_;
    Transfers transfers_;
    Memory memory_;
    Pipelines pipelines_;
    Buffer step_;  // StepValues
    const double max_work_, max_launch_;
    std::vector<VkCommandBuffer> commands_;           // of a run; a member, so that no run allocates
    std::vector<std::weak_ptr<const Results>> last_;  // of the plans run last, unless memory has changed since
};

void VulkanBackend::upload(Location to, std::span<const std::byte> bytes) {
    last_.clear();
    memory_.upload(to, bytes);
}

void VulkanBackend::download(Location from, std::span<std::byte> bytes) const {
    for (const auto& last : last_) {
        const std::shared_ptr<const Results> results = last.lock();
        if (const std::byte* const copied = results ? results->find(from, bytes.size()) : nullptr) {
            std::memcpy(bytes.data(), copied, bytes.size());
            return;
        }
    }
    memory_.download(from, bytes);
}

void VulkanBackend::copy(std::span<const Copy> copies) {
    last_.clear();
    memory_.copy(copies);
}

void VulkanBackend::prepare(Plan& plan) { plan.executable = record(plan, context()); }

void VulkanBackend::run_in_turn(std::span<const Plan* const> plans, const Step& step) {
    const StepValues values(step);
    std::memcpy(step_.host, &values, sizeof values);
    const auto recording = [](const Plan* plan) -> const Recording& { return static_cast<Recording&>(*plan->executable); };
    last_.clear();
    commands_.clear();
    for (const Plan* plan : plans)
        commands_.insert(commands_.end(), recording(plan).commands.begin(), recording(plan).commands.end());
    transfers_.run_before(commands_);
    for (const Plan* plan : plans) last_.push_back(recording(plan).results);
}

}  // namespace

std::unique_ptr<Backend> open_backend(int index, Messages messages, const Overrides& overrides, ShaderStore store) {
    return std::make_unique<VulkanBackend>(index, std::move(messages), overrides, std::move(store));
}

}  // namespace nib::vulkan
