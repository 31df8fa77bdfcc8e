#include <algorithm>

#include "vulkan/dispatch_parts.h"

namespace nib::vulkan {
namespace {

constexpr int64_t kSide = 8;                                 // linear_gemm.glsl: invocations along a side of a tile
constexpr int64_t kColumns = 8;                              // linear_few_rows.comp
constexpr int64_t kFewestRows = 4;                           // up to here linear_few_rows
constexpr uint32_t kBiasColumns = 8;                         // linear_backward_bias.comp: D
constexpr int64_t kDropoutGroup = 128, kDropoutBlocks = 16;  // dropout.glsl: elements and blocks of a group

// Multiply-adds of one launch: a tenth of a second of a slow built-in GPU, long before any driver loses its patience.
constexpr double kMaxWork = 1e10;

// The pieces of w or dw (N,C), such that none is too much for one launch.
void for_weight_pieces(const Dispatch& whole, uint32_t pieces, const Node& node, Limits limits,
                       const std::function<void(Dispatch d, int64_t rows)>& body) {
    const Params& p = node.p;
    const auto rows = static_cast<uint64_t>(std::max(1.0, kMaxWork / static_cast<double>(p.B * p.T * p.C)));
    limits.max_range = std::min(limits.max_range, rows * dtype_bytes(p.type, p.C));
    for_pieces(whole, pieces, p.N, p.C, p.type, limits, body);
}

// Invocations of linear_gemm.glsl compute squares of this side: large ones read less, small ones leave less idle and, where
// reading is much code, take less time to compile.
int64_t square(const Params& p) { return p.B * p.T > 4 * kSide && dtype_info(p.type)->block_size == 1 ? 8 : 4; }

// One launch of linear_gemm.glsl for a product (I,J).
Dispatch gemm(Dispatch d, const Node& node, int64_t I, int64_t J) {
    const int64_t side = square(node.p), tile = kSide * side;
    d.constants.D = static_cast<uint32_t>(side);
    set_groups(d, node, (J + tile - 1) / tile, (I + tile - 1) / tile);
    return d;
}

}  // namespace

std::vector<Dispatch> linear(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const int64_t R = p.B * p.T;
    const bool few = R <= kFewestRows;
    Dispatch whole = base(few ? kLinearFewRows : kLinear, node);
    std::vector<Dispatch> list;
    if (const int64_t run = dtype_info(p.type)->block_size; run > 1) {
        list.push_back(in_groups(base(kQuantizeRows, node), node, (R * p.C / run + kGroup - 1) / kGroup));
        list.back().constants.D = static_cast<uint32_t>(run);
        list.back().scratch = kMaxIn;
        whole.scratch = 0;
        whole.waits = true;
    }
    for_weight_pieces(whole, 1 << 1, node, limits, [&](Dispatch d, int64_t columns) {
        if (!few) return list.push_back(gemm(d, node, R, columns));
        d.constants.D = static_cast<uint32_t>(R);
        list.push_back(in_groups(d, node, (columns + kColumns - 1) / kColumns));
    });
    for (size_t i = 2; i < list.size(); ++i) list[i].waits = false;  // pieces do not wait for each other
    return list;
}

std::vector<Dispatch> linear_backward_epilogue(const Node& node) {
    const int64_t count = node.p.B * node.p.T * node.p.N;
    const int64_t blocks = (count + kDropoutGroup - 1) / kDropoutGroup * kDropoutBlocks;
    return {in_groups(base(kLinearBackwardEpilogue, node), node, (blocks + kGroup - 1) / kGroup)};
}

std::vector<Dispatch> linear_backward(const Node& node, const Limits& limits) {
    std::vector<Dispatch> list;
    for_weight_pieces(base(kLinearBackward, node), 1 << 1, node, limits, [&](Dispatch d, int64_t) {
        d.waits = !list.empty();  // for the sum that it adds to
        if (d.waits) d.push.adds |= 1;
        list.push_back(gemm(d, node, node.p.B * node.p.T, node.p.C));
    });
    return list;
}

std::vector<Dispatch> linear_backward_weight(const Node& node, const Limits& limits) {
    std::vector<Dispatch> list;
    for_weight_pieces(base(kLinearBackwardWeight, node), 1 << kMaxIn, node, limits,
                      [&](const Dispatch& d, int64_t rows) { list.push_back(gemm(d, node, rows, node.p.C)); });
    if (node.out[1]) {
        list.push_back(in_groups(base(kLinearBackwardBias, node), node, (node.p.N + kBiasColumns - 1) / kBiasColumns));
        list.back().constants.D = kBiasColumns;
    }
    return list;
}

}  // namespace nib::vulkan
