#include <algorithm>
#include <array>

#include "vulkan/dispatch_parts.h"

namespace nib::vulkan {
namespace {

constexpr int64_t kGroupColumns = 8;                            // linear_few_rows.comp
constexpr int64_t kFewestRows = 4;                              // up to here linear_few_rows
constexpr int64_t kUnpacked = 1 << 20;                          // numbers of w that linear_unpack makes floats at once
constexpr int64_t kTexelsGroup = 8, kTexelsColumns = 16;        // linear_texels_gemm.glsl
constexpr int64_t kEpilogueGroup = 32, kEpilogueElements = 32;  // dropout_fours.glsl: whole groups of a mask

// The pieces of w or dw (N,C), of a multiple of four rows unless that is too much, and none too much for one launch.
void for_weight_pieces(const Dispatch& whole, uint32_t pieces, const Node& node, Limits limits,
                       const std::function<void(Dispatch d, int64_t rows)>& body) {
    const Params& p = node.p;
    const uint64_t row_bytes = dtype_bytes(p.type, p.C);
    const auto work = static_cast<double>(p.B * p.T * p.C);  // of a row
    uint64_t rows = static_cast<uint64_t>(std::max(1.0, limits.max_work / work));
    rows = std::min(rows, limits.max_range / row_bytes);
    if (rows >= 4) rows -= rows % 4;
    if (rows > 0) limits.max_range = rows * row_bytes;
    for_pieces(whole, pieces, p.N, p.C, p.type, limits, [&](Dispatch d, int64_t piece) {
        d.work = work * static_cast<double>(piece);
        body(std::move(d), piece);
    });
}

// A launch for a product (I,J) by linear_gemm.glsl, whose workgroups compute tiles: large ones read less, small ones leave
// less of the device idle.
Dispatch tiles(Dispatch d, const Node& node, const Limits& limits, int64_t I, int64_t J) {
    struct Tile {
        uint32_t group, side;  // invocations; each computes a square of this side
        int64_t fewest;        // tiles that must come of it
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

// The same by linear_texels_gemm.glsl.
Dispatch texels(Dispatch d, const Node& node, int64_t I, int64_t J) {
    const bool few = I <= 4 && d.shader != &kLinearBackwardWeightTexels;  // which reads four rows at once
    if (few) {
        d.constants.D = I > 1 ? 4 : 1;
        set_groups(d, node, (J + 63) / 64, 1);
        return d;
    }
    // Large tiles read less, small ones leave less idle.
    struct Tile {
        uint32_t side, columns;
        double time;  // of a sum, with its part of what is read
        int64_t rows() const { return side * kTexelsGroup * columns / 4; }
    };
    constexpr std::array<Tile, 4> kTiles{
        {{8, 2, 5.8}, {12, 2, 5.1}, {16, 2, 4.8}, {16, 4, 3.9}}
    };
    const auto padded = [&](const Tile& t) { return (I + t.rows() - 1) / t.rows() * t.rows(); };
    const Tile* best = &kTiles.front();
    if ((d.constants.fours & 3) == 3)  // otherwise reading is much code
        for (const Tile& t : kTiles)
            if (static_cast<double>(padded(t)) * t.time < static_cast<double>(padded(*best)) * best->time) best = &t;
    d.constants.D = best->side;
    d.constants.columns = best->columns;
    set_groups(d, node, (J + kTexelsColumns - 1) / kTexelsColumns, padded(*best) / best->rows());
    return d;
}

Dispatch product(const Dispatch& d, const Node& node, const Limits& limits, int64_t I, int64_t J) {
    return d.shader->texels() != 0 ? texels(d, node, I, J) : tiles(d, node, limits, I, J);
}

// Of tensors (their bits) whose rows have N numbers and those of C: whose rows are whole fours.
uint32_t fours(const Params& p, uint32_t N, uint32_t C) { return (p.N % 4 == 0 ? N : 0) | (p.C % 4 == 0 ? C : 0); }

bool in_blocks(DType type) { return dtype_info(type)->block_size > 1; }

// Whether linear_texels reads w as it is.
bool is_texel(DType type) { return type == DType::F32 || type == DType::F16; }

// Whether the shaders for devices that are CPUs are used.
bool takes_texels(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const int64_t R = p.B * p.T;
    return limits.software && static_cast<uint64_t>(std::max(R * p.N, (R + p.N) * p.C)) <= limits.max_texels;
}

// Rows of w that are made floats at once, which caches keep, a multiple of four; 0: shaders read it as it is.
int64_t unpacked_rows(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    if (is_texel(p.type) || (in_blocks(p.type) && p.B * p.T <= kFewestRows) || !takes_texels(node, limits)) return 0;
    return std::max<int64_t>(kUnpacked / p.C / 4, 1) * 4;
}

// With the shader for devices that are CPUs on these; N and C as for fours().
Dispatch base(const Shader& shader, const Shader& texels, const Node& node, const Limits& limits, uint32_t N, uint32_t C) {
    const bool software = takes_texels(node, limits);
    Dispatch d = base(software ? texels : shader, node);
    if (software) d.constants.group = kTexelsGroup;
    if (software) d.constants.fours = fours(node.p, N, C);
    if (!is_texel(node.p.type) && unpacked_rows(node, limits) == 0) d.constants.fours &= ~0b10u;  // words
    return d;
}

// Launches on all elements of (R,N).
void add_epilogue(std::vector<Dispatch>& list, Dispatch d, const Node& node, const Limits& limits) {
    const Params& p = node.p;
    d.constants.D = static_cast<uint32_t>(p.act) + (p.dropout != 0 ? 4 : 0);
    d.constants.group = kEpilogueGroup;
    const int64_t elements = kEpilogueGroup * kEpilogueElements;
    add_groups(list, d, node, limits, (p.B * p.T * p.N + elements - 1) / elements,
               4 * kMove * static_cast<double>(elements));
}

// Beside weights in blocks, x is rounded first, into scratch.
void add_rounding(std::vector<Dispatch>& list, const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const int64_t run = dtype_info(p.type)->block_size;
    Dispatch d = base(kQuantizeRows, node);
    d.constants.D = static_cast<uint32_t>(run);
    d.scratch = kMaxIn;
    add_groups(list, d, node, limits, (p.B * p.T * p.C / run + kGroup - 1) / kGroup,
               3 * kMove * static_cast<double>(kGroup * run));
}

// Makes floats of the piece of w that `product` takes, in its place in scratch.
Dispatch unpack(const Dispatch& product, const Node& node) {
    Dispatch d = base(kLinearUnpack, node);
    d.constants.group = kTexelsGroup;
    d.constants.fours = fours(node.p, 0, 1 << kMaxIn);
    d.unpacked = kMaxIn;
    d.pieces = product.pieces;
    d.row_elements = product.row_elements;
    d.push.begin = product.push.begin, d.push.end = product.push.end;
    const int64_t numbers = (d.push.end - d.push.begin) * node.p.C, group = 8 * kTexelsGroup;
    d.work = kMove * static_cast<double>(numbers);
    return in_groups(d, node, (numbers + group - 1) / group);
}

// The product by linear_texels with weights that are no floats, piece by piece.
void add_unpacked(std::vector<Dispatch>& list, const Dispatch& whole, const Node& node, Limits limits) {
    limits.max_range = std::min(limits.max_range, dtype_bytes(node.p.type, unpacked_rows(node, limits) * node.p.C));
    for_weight_pieces(whole, 1 << 1, node, limits, [&](Dispatch d, int64_t columns) {
        list.push_back(unpack(d, node));
        list.back().waits = list.size() > 1;
        d.constants.type = static_cast<uint32_t>(DType::F32);
        d.unpacked = 1;
        d.waits = true;
        list.push_back(product(d, node, limits, node.p.B * node.p.T, columns));
    });
}

// The product, by the shader that `whole` has, of weights as they are.
void add_product(std::vector<Dispatch>& list, const Dispatch& whole, const Node& node, const Limits& limits) {
    const int64_t R = node.p.B * node.p.T;
    const size_t first = list.size();
    for_weight_pieces(whole, 1 << 1, node, limits, [&](Dispatch d, int64_t columns) {
        d.waits = first > 0 && list.size() == first;  // pieces do not wait for each other
        const bool blocks = in_blocks(node.p.type), texels = d.shader == &kLinearTexels;
        if (texels ? !blocks : d.shader != &kLinearFewRows) return list.push_back(product(d, node, limits, R, columns));
        const int64_t group = texels ? 4 * kTexelsGroup : kGroupColumns;
        d.constants.D = static_cast<uint32_t>(R);
        list.push_back(in_groups(d, node, (columns + group - 1) / group));
    });
}

}  // namespace

uint64_t unpacked_at(const Node& node) {
    return in_blocks(node.p.type) ? align_scratch(dtype_bytes(DType::F32, node.p.B * node.p.T * node.p.C)) : 0;
}

uint64_t linear_scratch(const Node& node, const Limits& limits) {
    return unpacked_at(node) + dtype_bytes(DType::F32, std::min(unpacked_rows(node, limits), node.p.N) * node.p.C);
}

std::vector<Dispatch> linear(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const bool few = p.B * p.T <= kFewestRows && node.halves == 0;
    Dispatch whole = base(few ? kLinearFewRows : kLinear, kLinearTexels, node, limits, 0b1101100, 0b11);
    const bool texels = whole.shader->texels() != 0, epilogue = texels && p.dropout != 0;
    if (epilogue) {
        whole.constants.parts = node.out[1] ? 2 : 1;  // what linear_epilogue reads
    } else if (texels) {
        whole.constants.parts = node.out[1] ? 3 : 1;
        whole.constants.act = static_cast<uint32_t>(p.act);
        whole.constants.residual = node.in[3] ? 1 : 0;
    }
    std::vector<Dispatch> list;
    if (in_blocks(p.type)) {
        add_rounding(list, node, limits);
        whole.scratch = 0;
    }
    if (unpacked_rows(node, limits) > 0)
        add_unpacked(list, whole, node, limits);
    else
        add_product(list, whole, node, limits);
    if (epilogue) {
        Dispatch d = base(kLinearEpilogue, kLinearEpilogue, node, limits, 0b1101000, 0);
        d.waits = true;
        add_epilogue(list, d, node, limits);
    }
    return list;
}

std::vector<Dispatch> linear_backward_epilogue(const Node& node, const Limits& limits) {
    Dispatch d = base(kLinearBackwardEpilogue, kLinearBackwardEpilogueTexels, node, limits, 0b100011, 0);
    d.constants.fours = fours(node.p, 0b100011, 0);
    std::vector<Dispatch> list;
    add_epilogue(list, d, node, limits);
    return list;
}

std::vector<Dispatch> linear_backward(const Node& node, const Limits& limits) {
    std::vector<Dispatch> list;
    for_weight_pieces(base(kLinearBackward, kLinearBackwardTexels, node, limits, 0b1, 0b100010), 1 << 1, node, limits,
                      [&](Dispatch d, int64_t) {
                          d.waits = !list.empty();  // for the sum that it adds to
                          if (d.waits) d.push.adds |= 1;
                          list.push_back(product(d, node, limits, node.p.B * node.p.T, node.p.C));
                      });
    return list;
}

std::vector<Dispatch> linear_backward_weight(const Node& node, const Limits& limits) {
    std::vector<Dispatch> list;
    const Dispatch whole = base(kLinearBackwardWeight, kLinearBackwardWeightTexels, node, limits, 0b1, 0b100010);
    for_weight_pieces(whole, 1 << kMaxIn, node, limits,
                      [&](const Dispatch& d, int64_t rows) { list.push_back(product(d, node, limits, rows, node.p.C)); });
    return list;
}

}  // namespace nib::vulkan
