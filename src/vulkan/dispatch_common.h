// What the files that make launches share.
#pragma once

#include <functional>

#include "vulkan/dispatch.h"

namespace nib::vulkan {

/// The cost of reading or writing a number, in multiply-adds.
constexpr double kMove = 16;

/// Of Constants: bits of all tensors.
constexpr uint32_t kAllTensors = (1u << kTensors) - 1;

/// Tensor i of the node: inputs, then outputs, as shaders number them.
Tensor tensor_of(const Node& node, int tensor);

/// A launch of one workgroup with the node's dimensions and options.
Dispatch base(const Shader& shader, const Node& node);

/// Sets x times y workgroups. Error when that is more than Vulkan promises.
void set_groups(Dispatch& d, const Node& node, int64_t x, int64_t y);

/// The same launch of `count` workgroups, or a few more if there are too many for one dimension: shaders number them row by
/// row and return where there is no work.
Dispatch in_groups(Dispatch d, const Node& node, int64_t count);

/// Appends launches of `count` workgroups in all, each of about `work` multiply-adds, as many in one as limits.max_work
/// allows; each waits for the one before.
void add_groups(std::vector<Dispatch>& list, Dispatch d, const Node& node, const Limits& limits, int64_t count,
                double work);

/// Cuts `rows` rows of `row_elements` numbers of `type` into pieces of at most limits.max_range bytes and calls
/// body(dispatch, rows of the piece) for each. Of the tensors in the bit mask `pieces` only the piece is bound.
void for_pieces(const Dispatch& whole, uint32_t pieces, int64_t rows, int64_t row_elements, DType type,
                const Limits& limits, const std::function<void(Dispatch d, int64_t rows)>& body);

/// scratch_bytes() of Linear.
uint64_t linear_scratch(const Node& node);

/// The launches of Linear and its backward ops.
std::vector<Dispatch> linear(const Node& node, const Limits& limits);
std::vector<Dispatch> linear_backward_epilogue(const Node& node, const Limits& limits);
std::vector<Dispatch> linear_backward(const Node& node, const Limits& limits);
std::vector<Dispatch> linear_backward_weight(const Node& node, const Limits& limits);

}  // namespace nib::vulkan
