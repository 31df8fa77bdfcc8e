// What the files that lay out launches share.
#pragma once

#include <functional>

#include "vulkan/dispatch.h"

namespace nib::vulkan {

/// What reading or writing a number takes, in multiply-adds.
constexpr double kMove = 16;

/// A launch of `shader` with the node's dimensions and options, still of one workgroup.
Dispatch base(const Shader& shader, const Node& node);

/// x times y workgroups. Error when that is more than Vulkan promises.
void set_groups(Dispatch& d, const Node& node, int64_t x, int64_t y);

/// `count` workgroups, in a rectangle of them if there are many: shaders number them in rows and end where there is no
/// work.
Dispatch in_groups(Dispatch d, const Node& node, int64_t count);

/// Appends launches of `count` workgroups in all, of about `work` multiply-adds each, as many in one as limits.max_work
/// allows; each waits for the one before.
void add_groups(std::vector<Dispatch>& list, Dispatch d, const Node& node, const Limits& limits, int64_t count,
                double work);

/// Cuts `rows` rows of `row_elements` numbers of `type` where a piece would exceed limits.max_range, and calls
/// body(dispatch, rows of the piece) for each, with the tensors of the mask `pieces` bound to the piece only.
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
