#include "vulkan/peak.h"

#include "vulkan/dispatch_common.h"

namespace nib::vulkan {
namespace {

constexpr int64_t kGroups = 4096;                             // of peak.comp
constexpr double kOperations = 2 * 32 * 8;                    // of an invocation in one round
constexpr double kLongEnough = 0.02;                          // seconds, so that the cost of submission does not matter
constexpr int64_t kCopied = int64_t{64} << 20, kCopies = 16;  // bytes, more than caches hold; copies in a run

}  // namespace

Peak measure_peak(Backend& backend, const RecordingContext& context, Transfers& transfers, const Stopwatch& stopwatch) {
    const Arena from(backend, kCopied), to(backend, kCopied);
    const auto seconds = [&](const Shader& shader, int64_t groups, int64_t C, int64_t times) {
        const Shape shape{kCopied / 4};
        Plan plan;
        plan.nodes.emplace_back();
        for (const auto& [operand, buffer] : {
                 std::pair(0, from.buffer()), {kMaxIn, to.buffer()}
        }) {
            plan.nodes[0].operands[static_cast<size_t>(operand)] = {static_cast<int>(plan.tensors.size())};
            TensorInfo info;
            info.shape = shape;
            info.where.buffer = buffer;
            plan.tensors.push_back(info);
        }
        plan.stages = {
            {0, {0}}
        };
        Dispatch launch;
        launch.shader = &shader;
        launch.push.C = static_cast<uint32_t>(C);
        launch = in_groups(launch, plan.nodes[0], groups);
        launch.waits = true;
        const auto recording = record(plan, {std::vector(static_cast<size_t>(times), launch)}, context);
        return stopwatch([&] { transfers.run_before(recording->commands); });
    };
    Peak peak;
    int64_t rounds = 1;
    double computing = 0;
    while ((computing = seconds(kPeak, kGroups, rounds, 1)) < kLongEnough && rounds < 1 << 20) rounds *= 8;
    peak.flops = kOperations * static_cast<double>(kGroups * kGroup * rounds) / computing;
    peak.bandwidth = 2.0 * kCopied * kCopies / seconds(kCopy, kCopied / 16 / kGroup, kCopied / 16, kCopies);
    return peak;
}

}  // namespace nib::vulkan
