#include <algorithm>

#include "vulkan/dispatch_common.h"

namespace nib::vulkan {
namespace {

constexpr int64_t kMaxHeadSize = 256;  // an invocation of attention holds rows of a head in registers
constexpr int64_t kFewest = 9;         // shaders/cache.glsl

uint32_t u(int64_t n) { return static_cast<uint32_t>(n); }

// Elements from row to row of an operand, which is `width` wide unless it is a slice.
uint32_t stride_of(const Node& node, int operand, int64_t width) {
    const int64_t stride = node.strides[static_cast<size_t>(operand)];
    return u(stride > 0 ? stride : width);
}

Dispatch by_head(const Shader& shader, const Node& node) {
    Dispatch d = base(shader, node);
    const OpInfo& op = op_info(node.op);
    d.constants.D = u(node.p.D);
    d.constants.vec4 = node.p.D % 4 == 0 ? kAllTensors : 0;
    for (int i = 0; i < kMaxOperands; ++i)
        if (node.strides[static_cast<size_t>(i)] % 4 != 0) d.constants.vec4 &= ~(1u << i);
    const auto stride = [&](const char* operand, int64_t width) {
        const int i = op.find(operand);
        return i < 0 ? 0 : stride_of(node, i, width);
    };
    d.push.q_stride = stride("q", node.p.C);
    d.push.k_stride = stride("k", node.p.K);
    d.push.v_stride = stride("v", node.p.K);
    return d;
}

// Rows that a workgroup computes: each invocation takes as many of a head as fit into registers (kRows in
// shaders/heads.glsl).
int64_t rows_of_group(const Dispatch& d) {
    const uint32_t D = d.constants.D;
    return (D > 32 ? 1 : D > 16 ? 2 : 4) * int64_t{d.constants.group};
}

// Workgroups for `rows` rows of `heads` heads. Each row takes `products` dot products of D numbers with each of `others`
// rows.
void add_heads(std::vector<Dispatch>& list, const Dispatch& d, const Node& node, const Limits& limits, int64_t heads,
               int64_t rows, int64_t others, double products) {
    const int64_t length = rows_of_group(d);
    add_groups(list, d, node, limits, heads * ((rows + length - 1) / length),
               products * real(others) * static_cast<double>(length * d.constants.D));
}

}  // namespace

bool supports_heads(const Node& node) { return node.p.D <= kMaxHeadSize; }

std::vector<Dispatch> attention(const Node& node, const Limits& limits) {
    using O = operand::Attention;
    const Params& p = node.p;
    std::vector<Dispatch> list;
    add_mask(list, node, limits);
    Dispatch attend = by_head(kAttention, node);
    attend.waits = !list.empty();
    add_heads(list, attend, node, limits, p.B * p.H, p.T, p.S, 2);
    if (node[O::weights])
        add_groups(list, by_head(kAttentionWeights, node), node, limits, p.B * p.H * p.T,
                   (real(p.D) + 2 * kMove) * real(p.S));
    return list;
}

uint64_t attention_backward_scratch(const Node& node) {
    const int64_t records = 4 * node.p.B * node.p.H * node.p.T;  // shaders/records.glsl
    return dtype_bytes(DType::I32, mask_words(node) + records);
}

std::vector<Dispatch> attention_backward(const Node& node, const Limits& limits) {
    using O = operand::AttentionBackward;
    const Params& p = node.p;
    std::vector<Dispatch> list;
    add_mask(list, node, limits);
    Dispatch records = by_head(kAttentionBackwardRecords, node);
    records.waits = !list.empty();
    add_groups(list, records, node, limits, groups_of(p.B * p.H * p.T, records),
               2 * kMove * static_cast<double>(p.D * records.constants.group));
    // In turn, since the gradients may be slices of one tensor.
    Dispatch queries = by_head(kAttentionBackward, node), keys = by_head(kAttentionBackwardKeys, node),
             values = by_head(kAttentionBackwardValues, node);
    queries.waits = keys.waits = values.waits = true;
    queries.push.d_stride = stride_of(node, O::dq, p.C);
    keys.push.d_stride = stride_of(node, O::dk, p.K);
    values.push.d_stride = stride_of(node, O::dv, p.K);
    const int64_t queries_of_key = p.H / p.G * p.T;
    add_heads(list, queries, node, limits, p.B * p.H, p.T, p.S, 3);
    add_heads(list, keys, node, limits, p.B * p.G, p.S, queries_of_key, 3);
    add_heads(list, values, node, limits, p.B * p.G, p.S, queries_of_key, 2);
    return list;
}

std::vector<Dispatch> cache_store(const Node& node, const Limits& limits) {
    std::vector<Dispatch> list;
    add_groups(list, by_head(kCacheStore, node), node, limits, node.p.B * node.p.T, 4 * kMove * real(node.p.K));
    return list;
}

// First the runs of consecutive rows of a slot, which are computed together, then all other rows one by one. The device
// decides which are which.
std::vector<Dispatch> attention_cached(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const int64_t R = p.B * p.T;
    std::vector<Dispatch> list;
    if (R >= kFewest) add_heads(list, by_head(kAttentionCachedRows, node), node, limits, p.H, R, p.S, 2);
    Dispatch single = by_head(kAttentionCached, node);
    single.waits = !list.empty();  // they write other rows of the same tensor
    add_groups(list, single, node, limits, R * p.H, 2 * real(p.S) * real(p.D));
    return list;
}

}  // namespace nib::vulkan
