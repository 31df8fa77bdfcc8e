// Shared by the files that make dispatches.
#pragma once

#include <algorithm>
#include <functional>

#include "vulkan/dispatch.h"

namespace nib::vulkan {

/// The cost of reading or writing a number, in multiply-adds.
constexpr double kMove = 16;

/// Bit mask of all tensors, for Constants.
constexpr uint32_t kAllTensors = (1u << kTensors) - 1;

/// Whether shaders/number.glsl reads this type.
bool is_number(DType type);

constexpr bool in_blocks(DType type) { return type != DType::F32 && type != DType::F16 && type != DType::BF16; }

/// n as a double for estimates of work, at least 1.
inline double real(int64_t n) { return static_cast<double>(std::max<int64_t>(n, 1)); }

/// Workgroups for this many invocations.
inline int64_t groups_of(int64_t invocations, const Dispatch& d) {
    return (invocations + d.constants.group - 1) / d.constants.group;
}

/// A dispatch of one workgroup with the node's dimensions and options.
Dispatch base(const Shader& shader, const Node& node);

/// Sets x times y workgroups. Error when that is more than Vulkan guarantees.
void set_groups(Dispatch& d, const Node& node, int64_t x, int64_t y);

/// The same dispatch with `count` workgroups, or a few more if they do not fit into one dimension: shaders number them row
/// by row and return early from those beyond.
Dispatch in_groups(Dispatch d, const Node& node, int64_t count);

/// Appends dispatches of `count` workgroups in total, of about `work` multiply-adds each, with as many in one dispatch as
/// limits.max_work allows. Each waits for the one before.
void add_groups(std::vector<Dispatch>& list, Dispatch d, const Node& node, const Limits& limits, int64_t count,
                double work);

/// Cuts `rows` rows of `row_elements` numbers of `type` into pieces of at most limits.max_range bytes and calls
/// body(dispatch, rows of the piece) for each. Of the tensors in the bit mask `pieces` only the piece is bound.
void for_pieces(const Dispatch& whole, uint32_t pieces, int64_t rows, int64_t row_elements, DType type,
                const Limits& limits, const std::function<void(Dispatch d, int64_t rows)>& body);

/// Elements of the node's dropout mask. Shaders count them in 32 bits.
int64_t mask_elements(const Node& node);
/// Words of the mask in scratch, with padding (shaders/records.glsl); 0 without dropout.
int64_t mask_words(const Node& node);
/// Appends the dispatch that makes the mask.
void add_mask(std::vector<Dispatch>& list, const Node& node, const Limits& limits);

/// scratch_bytes() of some ops.
uint64_t linear_scratch(const Node& node);
uint64_t attention_backward_scratch(const Node& node);

/// Whether there are shaders for heads of this size.
bool supports_heads(const Node& node);

/// The dispatches of Linear and its backward ops.
std::vector<Dispatch> linear(const Node& node, const Limits& limits);
std::vector<Dispatch> linear_epilogue(const Node& node, const Limits& limits);
std::vector<Dispatch> linear_backward(const Node& node, const Limits& limits);
std::vector<Dispatch> linear_backward_weight(const Node& node, const Limits& limits);

/// The dispatches of Attention, its backward op and the cache.
std::vector<Dispatch> attention(const Node& node, const Limits& limits);
std::vector<Dispatch> attention_backward(const Node& node, const Limits& limits);
std::vector<Dispatch> cache_store(const Node& node, const Limits& limits);
std::vector<Dispatch> attention_cached(const Node& node, const Limits& limits);

}  // namespace nib::vulkan
