#include <algorithm>
#include <array>

#include "vulkan/dispatch_common.h"

namespace nib::vulkan {
namespace {

constexpr int64_t kGroupColumns = 8;                            // linear_few_rows.comp
constexpr int64_t kMaxFewRows = 4;                              // up to which linear_few_rows is used
constexpr int64_t kEpilogueGroup = 32, kEpilogueElements = 32;  // linear_epilogue.comp and its backward twin

// Cuts w or dw (N,C), that operand of the node, into pieces that are small enough for a binding and for a launch: a
// multiple of four rows, if possible.
void for_weight_pieces(const Dispatch& whole, int operand, const Node& node, Limits limits,
                       const std::function<void(Dispatch d, int64_t rows)>& body) {
    const Params& p = node.p;
    const DType type = node.types[static_cast<size_t>(operand)];
    const uint64_t row_bytes = dtype_bytes(type, p.C);
    const auto work = static_cast<double>(p.B * p.T * p.C);  // of a row
    uint64_t rows = static_cast<uint64_t>(std::max(1.0, limits.max_work / work));
    rows = std::min(rows, limits.max_range / row_bytes);
    if (rows >= 4) rows -= rows % 4;
    if (rows > 0) limits.max_range = rows * row_bytes;
    for_pieces(whole, 1u << operand, p.N, p.C, type, limits, [&](Dispatch d, int64_t piece) {
        d.work = work * static_cast<double>(piece);
        body(std::move(d), piece);
    });
}

// A dispatch for a product (I,J) by linear_gemm.glsl. Large tiles read less, small tiles keep more of the device busy.
Dispatch tiles(Dispatch d, const Node& node, const Limits& limits, int64_t I, int64_t J) {
    struct Tile {
        uint32_t group, side;  // invocations; each computes a square of this side
        int64_t fewest;        // not used if there would be fewer tiles
        int64_t length() const { return (group == 256 ? 16 : 8) * side; }
        uint32_t shared() const { return static_cast<uint32_t>(2 * 16 * (length() + 1)) * 4; }  // bytes
        int64_t count(int64_t n) const { return (n + length() - 1) / length(); }
    };
    constexpr std::array<Tile, 3> kTiles{
        {{256, 8, 256}, {64, 8, 64}, {64, 4, 0}}
    };
    const auto fits = [&](const Tile& t) {
        const bool full = 2 * I > t.length() && t.count(I) * t.count(J) >= t.fewest;
        return full && t.group <= limits.max_group && t.shared() <= limits.shared_memory;
    };
    const auto fitting = std::find_if(kTiles.begin(), kTiles.end(), fits);
    const Tile& tile = fitting == kTiles.end() ? kTiles.back() : *fitting;
    d.constants.group = tile.group;
    d.constants.D = tile.side;
    set_groups(d, node, tile.count(J), tile.count(I));
    return d;
}

DType weight_type(const Node& node) { return node.types[operand::Linear::w]; }

// For weights in blocks, x is first rounded into scratch.
void add_rounding(std::vector<Dispatch>& list, const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const int64_t run = dtype_info(weight_type(node))->block_size;
    Dispatch d = base(kQuantizeRows, node);
    d.constants.D = static_cast<uint32_t>(run);
    add_groups(list, d, node, limits, (p.B * p.T * p.C / run + kGroup - 1) / kGroup,
               3 * kMove * static_cast<double>(kGroup * run));
}

// The product, by the shader of `whole`.
void add_product(std::vector<Dispatch>& list, const Dispatch& whole, const Node& node, const Limits& limits) {
    const int64_t R = node.p.B * node.p.T;
    const size_t first = list.size();
    for_weight_pieces(whole, operand::Linear::w, node, limits, [&](Dispatch d, int64_t columns) {
        d.waits = first > 0 && list.size() == first;  // pieces do not wait for each other
        if (d.shader != &kLinearFewRows) return list.push_back(tiles(d, node, limits, R, columns));
        d.constants.D = static_cast<uint32_t>(R);
        list.push_back(in_groups(d, node, (columns + kGroupColumns - 1) / kGroupColumns));
    });
}

}  // namespace

uint64_t linear_scratch(const Node& node) {
    return in_blocks(weight_type(node)) ? dtype_bytes(DType::F32, node.p.B * node.p.T * node.p.C) : 0;
}

std::vector<Dispatch> linear(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const bool few = p.B * p.T <= kMaxFewRows && !node.has_f16_activation();
    Dispatch whole = base(few ? kLinearFewRows : kLinear, node);
    std::vector<Dispatch> list;
    if (in_blocks(weight_type(node))) {
        add_rounding(list, node, limits);
        whole.bind(operand::Linear::x, kScratch);
    }
    add_product(list, whole, node, limits);
    return list;
}

std::vector<Dispatch> linear_epilogue(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    Dispatch d = base(node.op == Op::LinearEpilogue ? kLinearEpilogue : kLinearBackwardEpilogue, node);
    d.constants.group = kEpilogueGroup;
    d.constants.vec4 = p.N % 4 == 0 ? kAllTensors : 0;
    std::vector<Dispatch> list;
    const int64_t elements = kEpilogueGroup * kEpilogueElements;
    add_groups(list, d, node, limits, (p.B * p.T * p.N + elements - 1) / elements,
               4 * kMove * static_cast<double>(elements));
    return list;
}

std::vector<Dispatch> linear_backward(const Node& node, const Limits& limits) {
    std::vector<Dispatch> list;
    for_weight_pieces(base(kLinearBackward, node), operand::LinearBackward::w, node, limits, [&](Dispatch d, int64_t) {
        d.waits = !list.empty();  // for the sum that it adds to
        if (d.waits) d.push.flags |= 1u << kAdds;
        list.push_back(tiles(d, node, limits, node.p.B * node.p.T, node.p.C));
    });
    return list;
}

std::vector<Dispatch> linear_backward_weight(const Node& node, const Limits& limits) {
    std::vector<Dispatch> list;
    const Dispatch whole = base(kLinearBackwardWeight, node);
    for_weight_pieces(whole, operand::LinearBackwardWeight::dw, node, limits,
                      [&](const Dispatch& d, int64_t rows) { list.push_back(tiles(d, node, limits, rows, node.p.C)); });
    return list;
}

}  // namespace nib::vulkan
