// How nodes become launches of shaders: which shader, how many workgroups, which tensors it sees. Nothing here calls
// Vulkan.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <vector>

#include "core/graph.h"
#include "vulkan/shaders.h"

namespace nib::vulkan {

constexpr uint32_t kGroup = 64;       // invocations of a workgroup
constexpr uint32_t kMaxBindings = 7;  // storage buffers of a shader, with the step's values
constexpr int kTensors = kMaxIn + kMaxOut;

/// Multiply-adds of one launch: a tenth of a second of a slow built-in GPU, long before any driver loses its patience.
constexpr double kMaxLaunch = 1e10;

/// Specialization constants, in the order of their numbers (shaders/common.glsl).
struct Constants {
    uint32_t group = kGroup, D = 1, type = 0, position_type = 0;
    uint32_t fours = 0;     // a tensor's bit is cleared when it is bound at no multiple of four numbers
    uint32_t drops = 0;     // 1 where there is dropout
    uint32_t parts = 3;     // of attention_backward_keys: bit i: output i is computed
    uint32_t act = 0;       // Act
    uint32_t residual = 0;  // of linear: 1 where there is one
    uint32_t halves = 0;    // Node::halves
    auto operator<=>(const Constants&) const = default;
};

/// Push constants, as in shaders/common.glsl.
struct Push {
    uint32_t B = 0, T = 0, C = 0, N = 0, H = 0, S = 0;
    uint32_t present = 0;
    uint32_t adds = 0, dropout = 0, stream = 0;
    uint32_t begin = 0, end = 0;
    uint32_t first = 0;
    float eps = 0;
    std::array<uint32_t, kTensors> shift{};
};
static_assert(sizeof(Push) <= 128);  // what every device has room for

/// What a shader reads of Step, as in shaders/common.glsl.
struct StepValues {
    uint32_t seed[2] = {};  // low word first
    uint32_t index = 0, accumulate = 0, rows = 0;
    float loss_scale = 0, clip = 0;
    float lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0, momentum = 0, correction1 = 1, correction2 = 1;
    explicit StepValues(const Step& step);
};
static_assert(sizeof(StepValues) == 15 * 4);  // as std430 lays it out: no gaps

struct Dispatch {
    const Shader* shader = nullptr;
    Constants constants;
    Push push;  // its shifts are set when tensors are bound
    uint32_t groups_x = 1, groups_y = 1;
    double work = 0;           // multiply-adds, at most about
    uint32_t pieces = 0;       // bit i: tensor i is bound from row push.begin to push.end only
    int64_t row_elements = 0;  // of such a row
    int scratch = -1;          // tensor that is bound to the node's scratch instead; -1: none
    bool waits = false;        // for the dispatch before it
};

/// What launches depend on of a device.
struct Limits {
    uint64_t max_range = 0;  // bytes that a shader may bind of a tensor
    double max_work = kMaxLaunch;
    uint32_t max_group = 128, shared_memory = 16384;  // invocations, bytes of a workgroup; the least that Vulkan promises
};

/// Where something may begin in scratch: at multiples of as much as any device asks of the start of a binding.
constexpr uint64_t align_scratch(uint64_t bytes) { return (bytes + 255) / 256 * 256; }
/// Bytes between dispatches of this node, which they keep in scratch.
uint64_t scratch_bytes(const Node& node);

/// Whether there are shaders for this node.
bool supports(const Node& node);

/// The launches of a node, each of at most `limits.max_work` unless one workgroup has more. Matrices of weights and their
/// gradients come in pieces of at most `limits.max_range` bytes. Error when a row has more, or the node needs more
/// workgroups than Vulkan promises.
std::vector<Dispatch> dispatches(const Node& node, const Limits& limits);

}  // namespace nib::vulkan
