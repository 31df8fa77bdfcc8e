// How nodes become launches of shaders: which shader, how many workgroups, which tensors it sees. Nothing here calls
// Vulkan.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "core/graph.h"

namespace nib::vulkan {

constexpr uint32_t kGroup = 64;       // invocations of a workgroup
constexpr uint32_t kMaxBindings = 7;  // storage buffers of a shader, with the step's values
constexpr int kTensors = kMaxIn + kMaxOut;

/// A shader of shaders/, compiled into the binary.
struct Shader {
    std::span<const uint8_t> code;  // SPIR-V, words as numbers of 7 bits a byte, the lowest first; the last has bit 7 clear
    unsigned tensors = 0;           // bit i: it has a binding i + 1 for tensor i; inputs are 0 to 4, outputs 5 to 7
};

/// Specialization constants, in the order of their numbers (shaders/common.glsl).
struct Constants {
    uint32_t group = kGroup, D = 1, type = 0, position_type = 0;
    auto operator<=>(const Constants&) const = default;
};

/// Push constants, as in shaders/common.glsl.
struct Push {
    uint32_t B = 0, T = 0, C = 0, N = 0, H = 0, S = 0;
    uint32_t present = 0, act = 0;
    uint32_t begin = 0, end = 0;
    float eps = 0;
    std::array<uint32_t, kTensors> shift{};
};
static_assert(sizeof(Push) <= 128);  // what every device has room for

/// What a shader reads of Step.
struct StepValues {
    uint32_t rows = 0;
    float loss_scale = 0;
};

struct Dispatch {
    const Shader* shader = nullptr;
    Constants constants;
    Push push;  // its shifts are set when tensors are bound
    uint32_t groups_x = 1, groups_y = 1;
    int matrix = -1;     // tensor that is bound from row push.begin to push.end only; -1: none
    int scratch = -1;    // tensor that is bound to the node's scratch instead; -1: none
    bool waits = false;  // for the dispatch before it
};

/// Bytes between dispatches of this node, which they keep in scratch.
uint64_t scratch_bytes(const Node& node);

/// Whether there are shaders for this node.
bool supports(const Node& node);

/// The launches of a node. Matrices of weights come in pieces of at most `max_range` bytes. Error when a row has more, or
/// the node needs more workgroups than Vulkan promises.
std::vector<Dispatch> dispatches(const Node& node, uint64_t max_range);

}  // namespace nib::vulkan
