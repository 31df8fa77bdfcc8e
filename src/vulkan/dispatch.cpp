#include "vulkan/dispatch.h"

#include <algorithm>

#include "core/error.h"
#include "core/ops.h"

namespace nib::vulkan {
namespace {

constexpr int64_t kMaxGroups = 65535;  // in one dimension, the least that Vulkan promises
constexpr int64_t kSide = 8;           // linear.comp: invocations along a side of a tile
constexpr int64_t kColumns = 8;        // linear_few_rows.comp
constexpr int64_t kFewestRows = 4;     // up to here linear_few_rows
constexpr int64_t kMaxHeadSize = 1024;

// Each as the build compiled it; a tensor's bit is 1 << its number in the shader.
constexpr uint8_t kEmbedCode[] = {
#include "shaders/embed.inc"
};
constexpr uint8_t kNormCode[] = {
#include "shaders/norm.inc"
};
constexpr uint8_t kLinearCode[] = {
#include "shaders/linear.inc"
};
constexpr uint8_t kLinearFewRowsCode[] = {
#include "shaders/linear_few_rows.inc"
};
constexpr uint8_t kAttentionCode[] = {
#include "shaders/attention.inc"
};
constexpr uint8_t kAttentionStoreCode[] = {
#include "shaders/attention_store.inc"
};
constexpr uint8_t kAttentionCachedCode[] = {
#include "shaders/attention_cached.inc"
};
constexpr uint8_t kGatherRowsCode[] = {
#include "shaders/gather_rows.inc"
};
constexpr uint8_t kCrossEntropyCode[] = {
#include "shaders/cross_entropy.inc"
};
constexpr uint8_t kQuantizeRowsCode[] = {
#include "shaders/quantize_rows.inc"
};
constexpr Shader kQuantizeRows{kQuantizeRowsCode, 0b00100001};
constexpr Shader kEmbed{kEmbedCode, 0b00101111}, kNorm{kNormCode, 0b11100111}, kLinear{kLinearCode, 0b01101111},
    kLinearFewRows{kLinearFewRowsCode, 0b01101111}, kAttention{kAttentionCode, 0b01100001},
    kAttentionStore{kAttentionStoreCode, 0b11000011}, kAttentionCached{kAttentionCachedCode, 0b11100011},
    kGatherRows{kGatherRowsCode, 0b00100011}, kCrossEntropy{kCrossEntropyCode, 0b11100011};

// What shaders/number.glsl reads.
bool is_number(DType type) {
    using enum DType;
    constexpr std::array kTypes{F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};
    return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

Dispatch base(const Shader& shader, const Node& node) {
    const Params& p = node.p;
    const auto u = [](int64_t n) { return static_cast<uint32_t>(n); };
    Dispatch d;
    d.shader = &shader;
    d.constants.type = static_cast<uint32_t>(p.type);
    d.constants.position_type = static_cast<uint32_t>(p.position_type);
    d.push.B = u(p.B), d.push.T = u(p.T), d.push.C = u(p.C), d.push.N = u(p.N), d.push.H = u(p.H), d.push.S = u(p.S);
    d.push.act = static_cast<uint32_t>(p.act);
    d.push.eps = p.eps;
    for (int i = 0; i < kMaxIn; ++i) d.push.present |= uint32_t{static_cast<bool>(node.in[static_cast<size_t>(i)])} << i;
    for (int i = 0; i < kMaxOut; ++i)
        d.push.present |= uint32_t{static_cast<bool>(node.out[static_cast<size_t>(i)])} << (kMaxIn + i);
    return d;
}

void set_groups(Dispatch& d, const Node& node, int64_t x, int64_t y) {
    if (x > kMaxGroups || y > kMaxGroups)
        fail("op `%s` is too large for one launch of a Vulkan shader; choose a smaller batch", op_name(node.op));
    d.groups_x = static_cast<uint32_t>(x);
    d.groups_y = static_cast<uint32_t>(y);
}

// `count` workgroups, in a rectangle of them if there are many: shaders number them in rows and end where there is no work.
Dispatch in_groups(Dispatch d, const Node& node, int64_t count) {
    const int64_t x = std::min(count, kMaxGroups);
    set_groups(d, node, x, (count + x - 1) / x);
    return d;
}

// Calls body(dispatch) for each piece of rows of matrix `tensor` (N,C).
template <class Body>
void for_pieces(const Dispatch& whole, const Node& node, int tensor, uint64_t max_range, const Body& body) {
    const auto row_bytes = static_cast<uint64_t>(dtype_bytes(node.p.type, node.p.C));
    const auto most = static_cast<int64_t>(max_range / row_bytes);
    if (most == 0)
        fail("a row of %s is larger than what the device's shaders can bind, %s",
             human_bytes(static_cast<double>(row_bytes)).c_str(), human_bytes(static_cast<double>(max_range)).c_str());
    for (int64_t begin = 0; begin < node.p.N; begin += most) {
        Dispatch d = whole;
        d.matrix = tensor;
        d.push.begin = static_cast<uint32_t>(begin);
        d.push.end = static_cast<uint32_t>(std::min(node.p.N, begin + most));
        body(std::move(d), static_cast<int64_t>(d.push.end - d.push.begin));
    }
}

std::vector<Dispatch> embed(const Node& node, uint64_t max_range) {
    std::vector<Dispatch> list;
    for_pieces(base(kEmbed, node), node, 2, max_range,
               [&](Dispatch d, int64_t) { list.push_back(in_groups(d, node, node.p.B * node.p.T)); });
    return list;
}

std::vector<Dispatch> linear(const Node& node, uint64_t max_range) {
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
    for_pieces(whole, node, 1, max_range, [&](Dispatch d, int64_t columns) {
        if (few) return list.push_back(in_groups(d, node, (columns + kColumns - 1) / kColumns));
        set_groups(d, node, (columns + tile - 1) / tile, (R + tile - 1) / tile);
        list.push_back(d);
    });
    for (size_t i = 2; i < list.size(); ++i) list[i].waits = false;  // pieces do not wait for each other
    return list;
}

std::vector<Dispatch> attention(const Node& node) {
    const int64_t R = node.p.B * node.p.T, groups = R * node.p.H;
    const auto D = static_cast<uint32_t>(node.p.C / node.p.H);
    const bool cached = node.op == Op::AttentionCached;
    Dispatch attend = in_groups(base(cached ? kAttentionCached : kAttention, node), node, groups);
    attend.constants.D = D;
    attend.waits = cached;
    if (!cached) return {attend};
    Dispatch store = in_groups(base(kAttentionStore, node), node, R);
    store.constants.D = D;
    return {store, attend};
}

}  // namespace

uint64_t scratch_bytes(const Node& node) {
    const bool blocks = node.op == Op::Linear && dtype_info(node.p.type)->block_size > 1;
    return blocks ? dtype_bytes(DType::F32, node.p.B * node.p.T * node.p.C) : 0;
}

bool supports(const Node& node) {
    const Params& p = node.p;
    if (p.dropout != 0 || std::max({p.B * p.T, p.C, p.N, p.H, p.S}) > INT32_MAX) return false;
    switch (node.op) {
        case Op::Embed: return is_number(p.type) && is_number(p.position_type);
        case Op::Linear: return is_number(p.type);
        case Op::Attention: return p.C / p.H <= kMaxHeadSize;
        case Op::AttentionCached: return p.C / p.H <= kMaxHeadSize && (p.type == DType::F32 || p.type == DType::F16);
        case Op::Norm:
        case Op::GatherRows:
        case Op::CrossEntropy: return true;
        default: return false;
    }
}

std::vector<Dispatch> dispatches(const Node& node, uint64_t max_range) {
    const int64_t R = node.p.B * node.p.T;
    switch (node.op) {
        case Op::Embed: return embed(node, max_range);
        case Op::Norm: return {in_groups(base(kNorm, node), node, R)};
        case Op::Linear: return linear(node, max_range);
        case Op::Attention:
        case Op::AttentionCached: return attention(node);
        case Op::GatherRows: return {in_groups(base(kGatherRows, node), node, node.p.N)};
        case Op::CrossEntropy: return {in_groups(base(kCrossEntropy, node), node, R)};
        default: CHECK(!"supports() has refused this op");
    }
    return {};
}

}  // namespace nib::vulkan
