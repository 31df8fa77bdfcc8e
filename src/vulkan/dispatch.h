// Translates nodes into dispatches: which shader, how many workgroups, which tensors are bound. Nothing here calls Vulkan.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <numeric>
#include <vector>

#include "core/align.h"
#include "core/graph.h"
#include "vulkan/shaders.h"

namespace nib::vulkan {

constexpr uint32_t kGroup = 64;  // invocations of a workgroup
// Storage buffers of a shader, including the step's values. All but the oldest GPUs support this many.
constexpr uint32_t kMaxBindings = 8;
constexpr int kScratch = kMaxOperands;  // scratch memory is bound like one more operand
constexpr int kTensors = kMaxOperands + 1;

/// Multiply-adds of one dispatch: a tenth of a second on a slow integrated GPU, far below any driver's timeout.
constexpr double kMaxLaunch = 1e10;

/// Specialization constants, in the order of their numbers (shaders/common.glsl).
struct Constants {
    uint32_t group = kGroup, D = 1;
    std::array<uint32_t, 2> types{};  // DTypes of the operands, five bits for each, six in a word
    uint32_t present = 0;             // bit i: operand i is present
    uint32_t vec4 = 0;                // bit i: tensor i can be accessed as vec4; cleared when its binding is not aligned
    uint32_t dropout = 0;             // 1: there is dropout
    uint32_t act = 0;                 // Act
    auto operator<=>(const Constants&) const = default;
    DType type(int operand) const { return static_cast<DType>(types[type_word(operand)] >> type_bit(operand) & 31); }
    void set_type(int operand, DType type);
    /// Clears what concerns only operands outside the bit mask.
    void keep(uint32_t operands);

private:
    static size_t type_word(int operand) { return static_cast<size_t>(operand / 6); }
    static int type_bit(int operand) { return operand % 6 * 5; }
};

/// Push constants, as in shaders/common.glsl.
struct Push {
    uint32_t B = 0, T = 0, C = 0, N = 0, H = 0, G = 0, S = 0, L = 0;
    uint32_t flags = 0;  // bits of Flag
    uint32_t dropout = 0, stream = 0;
    uint32_t begin = 0, end = 0;
    uint32_t first = 0;
    uint32_t first_row = 0, window = 0;
    uint32_t q_stride = 0, k_stride = 0, v_stride = 0, d_stride = 0;
    float eps = 0, scale = 1, smoothing = 0, clip_low = 0, clip_high = 0, beta = 0, entropy_weight = 0;
    std::array<uint8_t, 16> shift{};
};
static_assert(sizeof(Push) <= 128);  // the minimum that Vulkan guarantees

/// Bits of Push::flags.
enum Flag : uint32_t {
#define FLAG(name, bit) name = (bit),
#include "vulkan/flags.inc"
};

/// What a shader reads of Step, as in shaders/common.glsl.
struct StepValues {
    uint32_t seed[2] = {};  // low word first
    uint32_t index = 0, accumulate = 0;
    std::array<uint32_t, kRowCounts> rows{};
    float loss_scale = 0, clip = 0;
    float lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0, momentum = 0, correction1 = 1, correction2 = 1;
    explicit StepValues(const Step& step);
};
static_assert(sizeof(StepValues) == 18 * 4);  // as std430 lays it out: no gaps

struct Dispatch {
    Dispatch() { std::iota(bound.begin(), bound.end(), int8_t{0}); }
    /// Binds `operand`, or kScratch, as the shader's tensor `tensor`.
    void bind(int tensor, int operand) { bound[static_cast<size_t>(tensor)] = static_cast<int8_t>(operand); }

    const Shader* shader = nullptr;
    Constants constants;
    Push push;  // its shifts are set when tensors are bound
    uint32_t groups_x = 1, groups_y = 1;
    double work = 0;                       // multiply-adds, roughly, at most
    uint32_t pieces = 0;                   // bit i: only rows push.begin to push.end of tensor i are bound
    int64_t row_elements = 0;              // of such a row
    std::array<int8_t, kTensors> bound{};  // the operand that is bound as tensor i; i itself unless bind() was called
    bool waits = false;                    // needs the results of the dispatch before it
};

/// Properties of the device that dispatches depend on.
struct Limits {
    uint64_t max_range = 0;  // bytes of a tensor that a shader may bind
    double max_work = kMaxLaunch;
    uint32_t max_group = 128,
             shared_memory = 16384;  // invocations and bytes of a workgroup; the minima that Vulkan guarantees
};

/// Rounds up to the largest alignment of bindings that a device may require.
constexpr uint64_t align_scratch(uint64_t bytes) { return align_up<uint64_t>(bytes, 256); }
/// Bytes of scratch memory through which the node's dispatches pass intermediate results.
uint64_t scratch_bytes(const Node& node);

/// Whether there are shaders for this node.
bool supports(const Node& node);

/// The dispatches of a node, each of at most `limits.max_work` unless a single workgroup has more. Weight matrices and
/// their gradients are bound in pieces of at most `limits.max_range` bytes. Error when a row is larger than that, or the
/// node needs more workgroups than Vulkan guarantees.
std::vector<Dispatch> dispatches(const Node& node, const Limits& limits);

}  // namespace nib::vulkan
