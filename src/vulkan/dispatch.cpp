#include "vulkan/dispatch.h"

#include <algorithm>

#include "core/error.h"
#include "core/ops.h"
#include "vulkan/dispatch_parts.h"

namespace nib::vulkan {
StepValues::StepValues(const Step& s)
    : seed{static_cast<uint32_t>(s.seed), static_cast<uint32_t>(s.seed >> 32)},
      index(s.index),
      accumulate(s.accumulate),
      rows(static_cast<uint32_t>(s.rows)),
      loss_scale(s.loss_scale),
      clip(s.clip),
      lr(s.lr),
      beta1(s.beta1),
      beta2(s.beta2),
      eps(s.eps),
      weight_decay(s.weight_decay),
      momentum(s.momentum),
      correction1(s.correction1),
      correction2(s.correction2) {}

// ---- laying out ------------------------------------------------------------------------------------------------------

namespace {

constexpr int64_t kMaxGroups = 65535;  // in one dimension, the least that Vulkan promises
constexpr int64_t kMaxHeadSize = 1024;

}  // namespace

Dispatch base(const Shader& shader, const Node& node) {
    const Params& p = node.p;
    const auto u = [](int64_t n) { return static_cast<uint32_t>(n); };
    Dispatch d;
    d.shader = &shader;
    d.constants.type = static_cast<uint32_t>(p.type);
    d.constants.position_type = static_cast<uint32_t>(p.position_type);
    d.push.B = u(p.B), d.push.T = u(p.T), d.push.C = u(p.C), d.push.N = u(p.N), d.push.H = u(p.H), d.push.S = u(p.S);
    d.push.act = static_cast<uint32_t>(p.act);
    d.push.adds = node.accumulate;
    d.push.dropout = p.dropout;
    d.push.stream = p.stream;
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

Dispatch in_groups(Dispatch d, const Node& node, int64_t count) {
    const int64_t x = std::min(count, kMaxGroups);
    set_groups(d, node, x, (count + x - 1) / x);
    return d;
}

void for_pieces(const Dispatch& whole, uint32_t pieces, int64_t rows, int64_t row_elements, DType type,
                const Limits& limits, const std::function<void(Dispatch, int64_t)>& body) {
    const auto row_bytes = static_cast<uint64_t>(dtype_bytes(type, row_elements));
    const auto most = static_cast<int64_t>(limits.max_range / row_bytes);
    if (most == 0)
        fail("a row of %s is larger than what the device's shaders can bind, %s",
             human_bytes(static_cast<double>(row_bytes)).c_str(),
             human_bytes(static_cast<double>(limits.max_range)).c_str());
    for (int64_t begin = 0; begin < rows; begin += most) {
        Dispatch d = whole;
        d.pieces = pieces;
        d.row_elements = row_elements;
        d.push.begin = static_cast<uint32_t>(begin);
        d.push.end = static_cast<uint32_t>(std::min(rows, begin + most));
        body(std::move(d), static_cast<int64_t>(d.push.end - d.push.begin));
    }
}

namespace {

// What shaders/number.glsl reads.
bool is_number(DType type) {
    using enum DType;
    constexpr std::array kTypes{F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};
    return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

std::vector<Dispatch> embed(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    std::vector<Dispatch> list;
    for_pieces(base(kEmbed, node), 1 << 2, p.N, p.C, p.type, limits,
               [&](Dispatch d, int64_t) { list.push_back(in_groups(d, node, p.B * p.T)); });
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
    if (std::max({p.B * p.T, p.C, p.N, p.H, p.S}) > INT32_MAX) return false;
    const bool drops = node.op == Op::Linear || node.op == Op::LinearBackwardEpilogue;
    if (p.dropout != 0 && (!drops || p.B * p.T * p.N > UINT32_MAX)) return false;
    switch (node.op) {
        case Op::Embed: return is_number(p.type) && is_number(p.position_type);
        case Op::Linear: return is_number(p.type);
        case Op::Attention: return p.C / p.H <= kMaxHeadSize;
        case Op::AttentionCached: return p.C / p.H <= kMaxHeadSize && (p.type == DType::F32 || p.type == DType::F16);
        case Op::Norm:
        case Op::LinearBackwardEpilogue:
        case Op::LinearBackward:
        case Op::LinearBackwardWeight:
        case Op::GatherRows:
        case Op::CrossEntropy: return true;
        default: return false;
    }
}

std::vector<Dispatch> dispatches(const Node& node, const Limits& limits) {
    const int64_t R = node.p.B * node.p.T;
    switch (node.op) {
        case Op::Embed: return embed(node, limits);
        case Op::Norm: return {in_groups(base(kNorm, node), node, R)};
        case Op::Linear: return linear(node, limits);
        case Op::LinearBackwardEpilogue: return linear_backward_epilogue(node, limits);
        case Op::LinearBackward: return linear_backward(node, limits);
        case Op::LinearBackwardWeight: return linear_backward_weight(node, limits);
        case Op::Attention:
        case Op::AttentionCached: return attention(node);
        case Op::GatherRows: return {in_groups(base(kGatherRows, node), node, node.p.N)};
        case Op::CrossEntropy: return {in_groups(base(kCrossEntropy, node), node, R)};
        default: CHECK(!"supports() has refused this op");
    }
    return {};
}

}  // namespace nib::vulkan
