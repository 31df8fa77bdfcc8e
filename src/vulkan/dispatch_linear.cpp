#include <algorithm>

#include "vulkan/dispatch_parts.h"

namespace nib::vulkan {
namespace {

constexpr int64_t kSide = 8;        // linear.comp: invocations along a side of a tile
constexpr int64_t kColumns = 8;     // linear_few_rows.comp
constexpr int64_t kFewestRows = 4;  // up to here linear_few_rows

}  // namespace

std::vector<Dispatch> linear(const Node& node, const Limits& limits) {
    const int64_t R = node.p.B * node.p.T;
    const bool few = R <= kFewestRows;
    Dispatch whole = base(few ? kLinearFewRows : kLinear, node);
    // Large tiles read less, small ones leave less idle and, where reading is much code, take less time to compile.
    const bool large = R > 4 * kSide && dtype_info(node.p.type)->block_size == 1;
    const int64_t side = large ? 8 : 4, tile = kSide * side;
    whole.constants.D = static_cast<uint32_t>(few ? R : side);
    std::vector<Dispatch> list;
    if (const int64_t run = dtype_info(node.p.type)->block_size; run > 1) {
        list.push_back(in_groups(base(kQuantizeRows, node), node, (R * node.p.C / run + kGroup - 1) / kGroup));
        list.back().constants.D = static_cast<uint32_t>(run);
        list.back().scratch = kMaxIn;
        whole.scratch = 0;
        whole.waits = true;
    }
    for_pieces(whole, 1 << 1, node.p.N, node.p.C, node.p.type, limits, [&](Dispatch d, int64_t columns) {
        if (few) return list.push_back(in_groups(d, node, (columns + kColumns - 1) / kColumns));
        set_groups(d, node, (columns + tile - 1) / tile, (R + tile - 1) / tile);
        list.push_back(d);
    });
    for (size_t i = 2; i < list.size(); ++i) list[i].waits = false;  // pieces do not wait for each other
    return list;
}

}  // namespace nib::vulkan
