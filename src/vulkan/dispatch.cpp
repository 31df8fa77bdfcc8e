#include "vulkan/dispatch.h"

#include <algorithm>

#include "core/error.h"
#include "core/ops.h"
#include "vulkan/dispatch_common.h"

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

// ---- what all ops share ----------------------------------------------------------------------------------------------

namespace {

constexpr int64_t kMaxGroups = 65535;  // in one dimension, the least that Vulkan promises
constexpr int64_t kMaxHeadSize = 256;  // an invocation of attention holds rows of a head in registers

}  // namespace

Tensor tensor_of(const Node& node, int tensor) {
    const auto i = static_cast<size_t>(tensor);
    return tensor < kMaxIn ? node.in[i] : node.out[i - kMaxIn];
}

Dispatch base(const Shader& shader, const Node& node) {
    const Params& p = node.p;
    const auto u = [](int64_t n) { return static_cast<uint32_t>(n); };
    Dispatch d;
    d.shader = &shader;
    d.constants.type = static_cast<uint32_t>(p.type);
    d.constants.position_type = static_cast<uint32_t>(p.position_type);
    for (int i = 0; i < kTensors; ++i) d.constants.present |= uint32_t{static_cast<bool>(tensor_of(node, i))} << i;
    d.constants.f16 = node.halves;
    d.constants.dropout = p.dropout != 0;
    d.constants.act = static_cast<uint32_t>(p.act);
    d.push.B = u(p.B), d.push.T = u(p.T), d.push.C = u(p.C), d.push.N = u(p.N), d.push.H = u(p.H), d.push.S = u(p.S);
    d.push.adds = node.accumulate;
    d.push.dropout = p.dropout;
    d.push.stream = p.stream;
    d.push.eps = p.eps;
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

void add_groups(std::vector<Dispatch>& list, Dispatch d, const Node& node, const Limits& limits, int64_t count,
                double work) {
    in_groups(d, node, count);  // fails if there are more than shaders can count
    auto most = std::max<int64_t>(static_cast<int64_t>(std::min(limits.max_work / work, static_cast<double>(count))), 1);
    if (most > kMaxGroups) most -= most % kMaxGroups;  // a full rectangle, so that no group is also in the next launch
    for (int64_t first = 0; first < count; first += most) {
        const int64_t groups = std::min(most, count - first);
        d.push.first = static_cast<uint32_t>(first);
        d.work = static_cast<double>(groups) * work;
        list.push_back(in_groups(d, node, groups));
        d.waits = true;  // cheap for so much work; the validation layer would report a race of ops that work in place
    }
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

int64_t groups_of(int64_t invocations, const Dispatch& d) {
    return (invocations + d.constants.group - 1) / d.constants.group;
}

// Launches of a workgroup for each of `rows` rows, `work` for each.
std::vector<Dispatch> by_rows(const Dispatch& d, const Node& node, const Limits& limits, int64_t rows, double work) {
    std::vector<Dispatch> list;
    add_groups(list, d, node, limits, rows, work);
    return list;
}

double real(int64_t n) { return static_cast<double>(std::max<int64_t>(n, 1)); }

// Whether shaders/number.glsl reads this type.
bool is_number(DType type) {
    using enum DType;
    constexpr std::array kTypes{F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};
    return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

// Elements of the node's dropout mask. Shaders count them in 32 bits.
int64_t mask_elements(const Node& node) {
    const Params& p = node.p;
    switch (node.op) {
        case Op::Embed:
        case Op::EmbedBackward: return p.B * p.T * p.C;
        case Op::Attention:
        case Op::AttentionBackward: return p.B * p.H * p.T * p.T;
        default: return p.B * p.T * p.N;
    }
}

// Groups of 128 elements (shaders/dropout.glsl).
int64_t mask_groups(const Node& node) { return (mask_elements(node) + 127) / 128; }

// Words of the mask, with padding (shaders/heads.glsl).
int64_t mask_words(const Node& node) { return node.p.dropout != 0 ? 4 * (mask_groups(node) + 1) : 0; }

// First, the dropout mask, into scratch.
void add_mask(std::vector<Dispatch>& list, const Node& node, const Limits& limits) {
    if (node.p.dropout == 0) return;
    Dispatch d = base(kDropoutMask, node);
    d.scratch = kMaxIn + 2;
    d.push.end = static_cast<uint32_t>(mask_groups(node));
    add_groups(list, d, node, limits, groups_of(mask_groups(node), d), 128 * kMove * d.constants.group);
}

std::vector<Dispatch> embed(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    std::vector<Dispatch> list;
    for_pieces(base(kEmbed, node), 1 << 2, p.N, p.C, p.type, limits,
               [&](Dispatch d, int64_t) { add_groups(list, d, node, limits, p.B * p.T, 3 * kMove * real(p.C)); });
    return list;
}

// An invocation computes a few rows of a head, as many as fit into registers (kRows in shaders/heads.glsl). `products`: how
// many products of D numbers each pair of a query and a key takes.
void add_heads(std::vector<Dispatch>& list, Dispatch d, const Node& node, const Limits& limits, double products) {
    const int64_t D = d.constants.D, times = (D > 32 ? 1 : D > 16 ? 2 : 4) * int64_t{d.constants.group};
    const int64_t keys = node.op == Op::AttentionCached ? node.p.S : node.p.T;
    add_groups(list, d, node, limits, node.p.B * node.p.H * ((node.p.T + times - 1) / times),
               products * real(keys) * static_cast<double>(times * D));
}

Dispatch by_head(const Shader& shader, const Node& node) {
    Dispatch d = base(shader, node);
    d.constants.D = static_cast<uint32_t>(node.p.C / node.p.H);
    d.constants.vec4 = d.constants.D % 4 == 0 ? kAllTensors : 0;
    return d;
}

// Words of the records that attention_backward leaves for attention_backward_keys (shaders/heads.glsl).
int64_t record_words(const Params& p) { return 4 * p.B * p.H * p.T * (p.dropout != 0 ? (p.T + 63) / 64 : 1); }

std::vector<Dispatch> attention(const Node& node, const Limits& limits) {
    std::vector<Dispatch> list;
    add_mask(list, node, limits);
    Dispatch d = by_head(kAttention, node);
    if (!list.empty()) d.scratch = kMaxIn + 2;
    d.waits = !list.empty();
    add_heads(list, d, node, limits, 2);
    return list;
}

std::vector<Dispatch> attention_backward(const Node& node, const Limits& limits) {
    Dispatch queries = by_head(kAttentionBackward, node);
    Dispatch keys = by_head(kAttentionBackwardKeys, node);
    queries.scratch = kMaxIn + 1;
    keys.scratch = 4;
    keys.waits = true;
    std::vector<Dispatch> list;
    add_mask(list, node, limits);
    queries.waits = !list.empty();
    add_heads(list, queries, node, limits, 3);
    add_heads(list, keys, node, limits, 3);
    keys.constants.part = 1;
    keys.waits = false;
    add_heads(list, keys, node, limits, 2);
    return list;
}

constexpr int64_t kFewQueries = 8;  // rows of a sequence up to which each row and head gets a workgroup

std::vector<Dispatch> attention_cached(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const int64_t R = p.B * p.T, D = p.C / p.H;
    const bool many = p.T > kFewQueries;
    Dispatch store = by_head(kAttentionStore, node), attend = by_head(many ? kAttentionCachedRows : kAttentionCached, node);
    attend.waits = true;
    std::vector<Dispatch> list;
    add_groups(list, store, node, limits, R, 4 * kMove * real(p.C));
    if (many)
        add_heads(list, attend, node, limits, 2);
    else
        add_groups(list, attend, node, limits, R * p.H, 2 * real(p.S) * real(D));
    return list;
}

std::vector<Dispatch> embed_backward(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const int64_t R = p.B * p.T;
    std::vector<Dispatch> list;
    add_mask(list, node, limits);
    Dispatch clear = base(kEmbedBackwardClear, node);
    clear.scratch = kMaxIn + 2;
    clear.waits = !list.empty();
    for_pieces(clear, 1 << kMaxIn, p.N, p.C, DType::F32, limits, [&](Dispatch d, int64_t rows) {
        const int64_t count = d.push.begin == 0 ? std::max(rows, p.S) : rows;
        add_groups(list, d, node, limits, count, 2 * kMove * real(p.C));
    });
    Dispatch links = base(kEmbedBackwardLinks, node), whole = base(kEmbedBackward, node);
    links.scratch = kMaxIn + 2;
    links.waits = true;
    whole.scratch = 4;
    add_groups(list, links, node, limits, groups_of(R, links), 4 * real(R) * links.constants.group);
    const size_t sums = list.size();
    for_pieces(whole, 1 << kMaxIn, p.N, p.C, DType::F32, limits,
               [&](Dispatch d, int64_t) { add_groups(list, d, node, limits, R, 4 * kMove * real(p.C)); });
    list[sums].waits = true;
    return list;
}

constexpr int64_t kRowsOfSum = 64;  // norm_backward_weight.comp: D

int64_t norm_sums(const Params& p) { return (p.B * p.T + kRowsOfSum - 1) / kRowsOfSum; }

std::vector<Dispatch> norm_backward_weight(const Node& node, const Limits& limits) {
    Dispatch sums = base(kNormBackwardWeight, node), sum = base(kNormBackwardWeightSum, node);
    sums.constants.D = sum.constants.D = static_cast<uint32_t>(kRowsOfSum);
    sums.scratch = kMaxIn;
    sum.scratch = 0;
    sum.waits = true;
    const int64_t chunks = norm_sums(node.p), columns = groups_of(node.p.C, sum);
    std::vector<Dispatch> list;
    add_groups(list, sums, node, limits, chunks * columns, 2 * kMove * kRowsOfSum * sums.constants.group);
    add_groups(list, sum, node, limits, columns, 2 * kMove * real(chunks) * sum.constants.group);
    return list;
}

// As for_pieces(), for C elements: each piece but the last has whole blocks of SumSquares.
void for_elements(const Dispatch& whole, uint32_t pieces, int64_t C, const Limits& limits,
                  const std::function<void(Dispatch d, int64_t elements)>& body) {
    const auto blocks = static_cast<int64_t>(limits.max_range / sizeof(float)) / kSumBlock;
    const int64_t most = std::max<int64_t>(blocks, 1) * kSumBlock;
    for (int64_t begin = 0; begin < C; begin += most) {
        Dispatch d = whole;
        d.pieces = pieces;
        d.row_elements = 1;
        d.push.begin = static_cast<uint32_t>(begin);
        d.push.end = static_cast<uint32_t>(std::min(C, begin + most));
        body(d, std::min(C - begin, most));
    }
}

std::vector<Dispatch> sum_squares(const Node& node, const Limits& limits) {
    std::vector<Dispatch> list;
    for_elements(base(kSumSquares, node), 1, node.p.C, limits, [&](const Dispatch& d, int64_t elements) {
        add_groups(list, d, node, limits, (elements + kSumBlock - 1) / kSumBlock, kMove * kSumBlock);
    });
    return list;
}

std::vector<Dispatch> update(const Node& node, const Limits& limits) {
    Dispatch whole = base(node.op == Op::AdamW ? kAdamw : kSgd, node);
    whole.constants.D = node.p.decay;
    uint32_t pieces = 1;  // all but stats
    for (int i = 0; i < kMaxOut; ++i)
        pieces |= uint32_t{static_cast<bool>(node.out[static_cast<size_t>(i)])} << (kMaxIn + i);
    std::vector<Dispatch> list;
    for_elements(whole, pieces, node.p.C, limits, [&](const Dispatch& d, int64_t elements) {
        add_groups(list, d, node, limits, groups_of(elements, d), 7 * kMove * d.constants.group);
    });
    return list;
}

}  // namespace

uint64_t scratch_bytes(const Node& node) {
    const Params& p = node.p;
    switch (node.op) {
        case Op::Linear: return linear_scratch(node);
        case Op::Attention: return dtype_bytes(DType::I32, mask_words(node));
        case Op::AttentionBackward: return dtype_bytes(DType::I32, mask_words(node) + record_words(p));
        case Op::EmbedBackward: return dtype_bytes(DType::I32, mask_words(node) + 2 * p.B * p.T);
        case Op::NormBackwardWeight: return dtype_bytes(DType::F32, norm_sums(p) * 2 * p.C);
        default: return 0;
    }
}

namespace {

// Whether shaders can read and write the node's f16 activations. They do so by vec4.
bool supports_f16(const Node& node) {
    constexpr uint32_t kOut = 1u << kMaxIn, kPre = kOut << 1;
    const Params& p = node.p;
    const auto fit = [&](uint32_t of_c, uint32_t of_n) {  // only these are f16; their rows have C and N numbers
        return (node.halves & ~(of_c | of_n)) == 0 && ((node.halves & of_c) == 0 || p.C % 4 == 0) &&
               ((node.halves & of_n) == 0 || p.N % 4 == 0);
    };
    switch (node.op) {
        case Op::Norm: return fit(kOut, 0);
        case Op::Linear: return dtype_info(p.type)->block_size == 1 && fit(0b1, kOut | kPre);
        case Op::LinearBackwardEpilogue: return fit(0, 0b10);
        case Op::LinearBackwardWeight: return fit(0b10, 0);
        case Op::Attention: return p.C / p.H % 4 == 0 && fit(kOut | 0b1, 0);
        case Op::AttentionBackward: return p.C / p.H % 4 == 0 && fit(0b110, 0);
        default: return false;
    }
}

}  // namespace

bool supports(const Node& node) {
    const Params& p = node.p;
    if (node.halves != 0 && !supports_f16(node)) return false;
    if (std::max({p.B * p.T, p.C, p.N, p.H, p.S}) > INT32_MAX) return false;
    if (p.dropout != 0 && mask_elements(node) > UINT32_MAX) return false;
    switch (node.op) {
        case Op::Embed: return is_number(p.type) && is_number(p.position_type);
        case Op::Linear: return is_number(p.type);
        case Op::LinearBackward: return p.type == DType::F32;
        case Op::Attention:
        case Op::AttentionBackward: return p.C / p.H <= kMaxHeadSize;
        case Op::AttentionCached: return p.C / p.H <= kMaxHeadSize && (p.type == DType::F32 || p.type == DType::F16);
        default: return true;
    }
}

std::vector<Dispatch> dispatches(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const int64_t R = p.B * p.T;
    switch (node.op) {
        case Op::Embed: return embed(node, limits);
        case Op::EmbedBackward: return embed_backward(node, limits);
        case Op::Norm: return by_rows(base(kNorm, node), node, limits, R, 4 * kMove * real(p.C));
        case Op::NormBackward: return by_rows(base(kNormBackward, node), node, limits, R, 4 * kMove * real(p.C));
        case Op::NormBackwardWeight: return norm_backward_weight(node, limits);
        case Op::Linear: return linear(node, limits);
        case Op::LinearBackwardEpilogue: return linear_backward_epilogue(node, limits);
        case Op::LinearBackward: return linear_backward(node, limits);
        case Op::LinearBackwardWeight: return linear_backward_weight(node, limits);
        case Op::Attention: return attention(node, limits);
        case Op::AttentionBackward: return attention_backward(node, limits);
        case Op::AttentionCached: return attention_cached(node, limits);
        case Op::GatherRows: return by_rows(base(kGatherRows, node), node, limits, p.N, 2 * kMove * real(p.C));
        case Op::CrossEntropy: return by_rows(base(kCrossEntropy, node), node, limits, R, 4 * kMove * real(p.N));
        case Op::SumSquares: return sum_squares(node, limits);
        case Op::ClipFactor: return {base(kClipFactor, node)};
        case Op::AdamW:
        case Op::Sgd: return update(node, limits);
        case Op::Count: CHECK(!"no such op");
    }
    return {};
}

}  // namespace nib::vulkan
