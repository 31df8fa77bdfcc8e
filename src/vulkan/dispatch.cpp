#include "vulkan/dispatch.h"

#include <algorithm>

#include "core/error.h"
#include "vulkan/dispatch_common.h"

namespace nib::vulkan {

StepValues::StepValues(const Step& s)
    : seed{static_cast<uint32_t>(s.seed), static_cast<uint32_t>(s.seed >> 32)},
      index(s.index),
      accumulate(s.accumulate),
      loss_scale(s.loss_scale),
      clip(s.clip),
      lr(s.lr),
      beta1(s.beta1),
      beta2(s.beta2),
      eps(s.eps),
      weight_decay(s.weight_decay),
      momentum(s.momentum),
      correction1(s.correction1),
      correction2(s.correction2) {
    std::transform(std::begin(s.rows), std::end(s.rows), rows.begin(), [](int64_t n) { return static_cast<uint32_t>(n); });
}

void Constants::set_type(int operand, DType type) {
    uint32_t& word = types[type_word(operand)];
    word = (word & ~(31u << type_bit(operand))) | static_cast<uint32_t>(type) << type_bit(operand);
}

void Constants::keep(uint32_t operands) {
    present &= operands;
    vec4 &= operands;
    for (int i = 0; i < kMaxOperands; ++i)
        if ((operands >> i & 1) == 0) set_type(i, DType::F32);
}

// ---- what all ops share ----------------------------------------------------------------------------------------------

namespace {

constexpr int64_t kMaxGroups = 65535;  // in one dimension; the minimum that Vulkan guarantees

static_assert(kMaxIn == 8 && kMaxOperands == 12 && kRowCounts == 4, "see shaders/common.glsl");

}  // namespace

Dispatch base(const Shader& shader, const Node& node) {
    const Params& p = node.p;
    const auto u = [](int64_t n) { return static_cast<uint32_t>(n); };
    Dispatch d;
    d.shader = &shader;
    for (int i = 0; i < kMaxOperands; ++i) {
        if (!node[i]) continue;
        d.constants.present |= 1u << i;
        d.constants.set_type(i, node.types[static_cast<size_t>(i)]);
    }
    d.constants.dropout = p.dropout != 0;
    d.constants.act = static_cast<uint32_t>(p.act);
    d.push.B = u(p.B), d.push.T = u(p.T), d.push.C = u(p.C), d.push.N = u(p.N);
    d.push.H = u(p.H), d.push.G = u(p.G), d.push.S = u(p.S), d.push.L = u(p.L);
    d.push.flags = u(node.accumulate) << kAdds | u(node.row_count + 1) << kRowCountAt |
                   u(node.key_row_count + 1) << kKeyRowCountAt | u(p.causal) << kCausal | u(p.rms) << kRms |
                   u(p.interleaved) << kInterleaved | u(p.inverse) << kInverse | u(p.decay) << kDecay | u(p.l2) << kL2 |
                   u(p.binary) << kBinary | static_cast<uint32_t>(p.preference) << kPreferenceAt;
    for (int i = 0; i < kMaxOut; ++i)
        if (op_info(node.op).outputs()[static_cast<size_t>(i)].writes == Writes::AddsWeight)
            d.push.flags |= 1u << (kAddsWeight + static_cast<uint32_t>(i));
    d.push.dropout = p.dropout;
    d.push.stream = p.stream;
    d.push.first_row = u(p.first_row);
    d.push.window = u(p.window);
    d.push.eps = p.eps;
    d.push.scale = p.scale;
    d.push.smoothing = p.smoothing;
    d.push.clip_low = p.clip_low, d.push.clip_high = p.clip_high;
    d.push.beta = p.beta;
    d.push.entropy_weight = p.entropy_weight;
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
    if (most > kMaxGroups) most -= most % kMaxGroups;  // whole rows of groups, so that none is also in the next dispatch
    for (int64_t first = 0; first < count; first += most) {
        const int64_t groups = std::min(most, count - first);
        d.push.first = static_cast<uint32_t>(first);
        d.work = static_cast<double>(groups) * work;
        list.push_back(in_groups(d, node, groups));
        d.waits = true;  // cheap beside so much work; in-place ops would be reported as races by the validation layer
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

// Dispatches of one workgroup per row, `work` each.
std::vector<Dispatch> by_rows(const Dispatch& d, const Node& node, const Limits& limits, int64_t rows, double work) {
    std::vector<Dispatch> list;
    add_groups(list, d, node, limits, rows, work);
    return list;
}

}  // namespace

bool is_number(DType type) {
    using enum DType;
    constexpr std::array kTypes{F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};
    return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

int64_t mask_elements(const Node& node) {
    const Params& p = node.p;
    switch (node.op) {
        case Op::Embed:
        case Op::EmbedBackward: return p.B * p.T * p.C;
        case Op::Attention:
        case Op::AttentionBackward: return p.B * p.H * p.T * p.S;
        default: return p.B * p.T * p.N;
    }
}

namespace {

// Groups of 128 elements (shaders/dropout.glsl).
int64_t mask_groups(const Node& node) { return (mask_elements(node) + 127) / 128; }

}  // namespace

int64_t mask_words(const Node& node) { return node.p.dropout != 0 ? 4 * (mask_groups(node) + 1) : 0; }

void add_mask(std::vector<Dispatch>& list, const Node& node, const Limits& limits) {
    if (node.p.dropout == 0) return;
    Dispatch d = base(kDropoutMask, node);
    d.push.end = static_cast<uint32_t>(mask_groups(node));
    add_groups(list, d, node, limits, groups_of(mask_groups(node), d), 128 * kMove * d.constants.group);
}

namespace {

std::vector<Dispatch> embed(const Node& node, const Limits& limits) {
    using O = operand::Embed;
    const Params& p = node.p;
    std::vector<Dispatch> list;
    for_pieces(base(kEmbed, node), 1 << O::wte, p.N, p.C, node.types[O::wte], limits,
               [&](Dispatch d, int64_t) { add_groups(list, d, node, limits, p.B * p.T, 4 * kMove * real(p.C)); });
    return list;
}

// The gradient of one table of `rows` rows, from the row numbers that the rows of dy are added to.
void embed_table(std::vector<Dispatch>& list, const Node& node, const Limits& limits, int ids, int dw, int64_t rows,
                 float scale) {
    using O = operand::EmbedBackward;
    const int64_t R = node.p.B * node.p.T, C = node.p.C;
    const auto of_table = [&](const Shader& shader) {
        Dispatch d = base(shader, node);
        d.bind(O::ids, ids);
        d.bind(O::dwte, dw);
        d.push.flags &= ~1u;
        d.push.flags |= node.accumulate >> (dw - kMaxIn) & 1u;
        d.push.scale = scale;
        return d;
    };
    Dispatch clear = of_table(kEmbedBackwardClear), links = of_table(kEmbedBackwardLinks), whole = of_table(kEmbedBackward);
    clear.waits = !list.empty();
    for_pieces(clear, 1 << O::dwte, rows, C, DType::F32, limits, [&](Dispatch d, int64_t piece) {
        add_groups(list, d, node, limits, piece, 2 * kMove * real(C));
        clear.waits = false;
    });
    links.waits = true;
    add_groups(list, links, node, limits, groups_of(R, links), 4 * real(R) * links.constants.group);
    const size_t sums = list.size();
    for_pieces(whole, 1 << O::dwte, rows, C, DType::F32, limits,
               [&](Dispatch d, int64_t) { add_groups(list, d, node, limits, R, 4 * kMove * real(C)); });
    list[sums].waits = true;
}

std::vector<Dispatch> embed_backward(const Node& node, const Limits& limits) {
    using O = operand::EmbedBackward;
    const Params& p = node.p;
    std::vector<Dispatch> list;
    add_mask(list, node, limits);
    if (node[O::dwte]) embed_table(list, node, limits, O::ids, O::dwte, p.N, p.scale);
    if (node[O::dwpe]) embed_table(list, node, limits, O::positions, O::dwpe, p.S, 1);
    if (node[O::dwse]) embed_table(list, node, limits, O::segments, O::dwse, p.L, 1);
    return list;
}

std::vector<Dispatch> rope(const Node& node, const Limits& limits) {
    using O = operand::Rope;
    const Params& p = node.p;
    Dispatch d = base(kRope, node);
    d.constants.D = static_cast<uint32_t>(p.D);
    d.push.end = static_cast<uint32_t>(node[O::x] == node[O::y] ? p.H * p.D : p.C);
    return by_rows(d, node, limits, p.B * p.T, 3 * kMove * real(p.C));
}

std::vector<Dispatch> gather_backward(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    return by_rows(base(kGatherBackward, node), node, limits, p.B * p.T, 4 * kMove * real(p.C) + 2 * real(p.N));
}

std::vector<Dispatch> mean_rows(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    const Dispatch d = base(kMeanRows, node);
    return by_rows(d, node, limits, p.N * groups_of(p.C, d), kMove * real(p.B * p.T) * d.constants.group);
}

std::vector<Dispatch> mean_rows_backward(const Node& node, const Limits& limits) {
    const Params& p = node.p;
    return by_rows(base(kMeanRowsBackward, node), node, limits, p.B * p.T, 3 * kMove * real(p.C) + 2 * real(p.N));
}

// One invocation per row.
void add_invocations(std::vector<Dispatch>& list, const Shader& shader, const Node& node, const Limits& limits) {
    const Dispatch d = base(shader, node);
    add_groups(list, d, node, limits, groups_of(node.p.B * node.p.T, d), 8 * kMove * d.constants.group);
}

std::vector<Dispatch> policy_loss(const Node& node, const Limits& limits) {
    using O = operand::PolicyLoss;
    std::vector<Dispatch> list;
    add_invocations(list, kPolicyLoss, node, limits);
    if (node[O::dlogp] || node[O::dentropy]) add_invocations(list, kPolicyLossBackward, node, limits);
    return list;
}

std::vector<Dispatch> preference_loss(const Node& node, const Limits& limits) {
    std::vector<Dispatch> list;
    add_invocations(list, kPreferenceLoss, node, limits);
    return list;
}

std::vector<Dispatch> similarity_backward(const Node& node, const Limits& limits) {
    using O = operand::SimilarityBackward;
    const Params& p = node.p;
    const int64_t R = p.B * p.T;
    std::vector<Dispatch> list;
    const auto add_side = [&](bool of_b, int others, int result, int64_t rows, int64_t terms) {
        if (!node[result]) return;
        Dispatch d = base(kSimilarityBackward, node);
        d.constants.D = of_b;
        d.bind(O::b, others);
        d.bind(O::da, result);
        d.push.flags = (d.push.flags & ~1u) | (node.accumulate >> (result - kMaxIn) & 1u);
        add_groups(list, d, node, limits, rows * groups_of(p.C, d), 2 * kMove * real(terms) * d.constants.group);
    };
    add_side(false, O::b, O::da, R, p.N);
    add_side(true, O::a, O::db, p.N, R);
    return list;
}

constexpr int64_t kRowsOfSum = 64;  // norm_backward_weight.comp: D

int64_t norm_sums(const Params& p) { return (p.B * p.T + kRowsOfSum - 1) / kRowsOfSum; }

std::vector<Dispatch> norm_backward_weight(const Node& node, const Limits& limits) {
    Dispatch sums = base(kNormBackwardWeight, node), sum = base(kNormBackwardWeightSum, node);
    sums.constants.D = sum.constants.D = static_cast<uint32_t>(kRowsOfSum);
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
    for_elements(base(kSumSquares, node), 1 << operand::SumSquares::x, node.p.C, limits,
                 [&](const Dispatch& d, int64_t elements) {
                     add_groups(list, d, node, limits, (elements + kSumBlock - 1) / kSumBlock, kMove * kSumBlock);
                 });
    return list;
}

std::vector<Dispatch> update(const Node& node, const Limits& limits) {
    Dispatch whole = base(node.op == Op::AdamW ? kAdamw : node.op == Op::Sgd ? kSgd : kAdagrad, node);
    const int stats = op_info(node.op).find("stats");
    const uint32_t pieces = whole.constants.present & ~(1u << stats);
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
        case Op::AttentionBackward: return attention_backward_scratch(node);
        case Op::EmbedBackward: return dtype_bytes(DType::I32, mask_words(node) + p.B * p.T);
        case Op::NormBackwardWeight: return dtype_bytes(DType::F32, norm_sums(p) * 2 * p.C);
        default: return 0;
    }
}

namespace {

// Whether shaders can access the node's f16 activations, which they do by vec4.
bool supports_f16(const Node& node) {
    const Params& p = node.p;
    for (int i = 0; i < kMaxOperands; ++i) {
        const Operand& operand = op_info(node.op).operands[i];
        if (!node[i] || operand.types != Types::Activation || node.types[static_cast<size_t>(i)] != DType::F16) continue;
        if (dimension(p, operand.shape().back()) % 4 != 0 || node.strides[static_cast<size_t>(i)] % 4 != 0) return false;
    }
    switch (node.op) {
        case Op::Linear: return !in_blocks(node.types[operand::Linear::w]);
        case Op::Attention:
        case Op::AttentionBackward: return p.D % 4 == 0;
        default: return true;
    }
}

}  // namespace

bool supports(const Node& node) {
    const Params& p = node.p;
    const auto type = [&](int operand) { return node.types[static_cast<size_t>(operand)]; };
    const auto is_weight = [&](int operand) { return !node[operand] || is_number(type(operand)); };
    if (node.has_f16_activation() && !supports_f16(node)) return false;
    if (std::max({p.B * p.T, p.B * p.S, p.C, p.N, p.H, p.S, p.L, p.first_row, p.window}) > INT32_MAX) return false;
    if (p.dropout != 0 && mask_elements(node) > UINT32_MAX) return false;
    switch (node.op) {
        case Op::Embed: {
            using O = operand::Embed;
            return is_weight(O::wte) && is_weight(O::wpe) && is_weight(O::wse);
        }
        case Op::Linear: return is_weight(operand::Linear::w);
        case Op::LinearBackward: return is_weight(operand::LinearBackward::w);
        case Op::Attention:
        case Op::AttentionBackward:
        case Op::AttentionCached: return supports_heads(node);
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
        case Op::LinearEpilogue:
        case Op::LinearBackwardEpilogue: return linear_epilogue(node, limits);
        case Op::LinearBackward: return linear_backward(node, limits);
        case Op::LinearBackwardWeight: return linear_backward_weight(node, limits);
        case Op::Glu: return by_rows(base(kGlu, node), node, limits, R, 3 * kMove * real(p.C));
        case Op::GluBackward: return by_rows(base(kGluBackward, node), node, limits, R, 5 * kMove * real(p.C));
        case Op::Rope: return rope(node, limits);
        case Op::Attention: return attention(node, limits);
        case Op::AttentionBackward: return attention_backward(node, limits);
        case Op::CacheStore: return cache_store(node, limits);
        case Op::AttentionCached: return attention_cached(node, limits);
        case Op::Gather: return by_rows(base(kGather, node), node, limits, p.N, 2 * kMove * real(p.C));
        case Op::GatherBackward: return gather_backward(node, limits);
        case Op::CrossEntropy: return by_rows(base(kCrossEntropy, node), node, limits, R, 4 * kMove * real(p.N));
        case Op::LogProbBackward: return by_rows(base(kLogProbBackward, node), node, limits, R, 4 * kMove * real(p.N));
        case Op::ValueLoss: return by_rows(base(kValueLoss, node), node, limits, R, 4 * kMove * real(p.N));
        case Op::PolicyLoss: return policy_loss(node, limits);
        case Op::PreferenceLoss: return preference_loss(node, limits);
        case Op::SpanLoss: return by_rows(base(kSpanLoss, node), node, limits, p.N, 8 * kMove * real(R));
        case Op::MeanRows: return mean_rows(node, limits);
        case Op::MeanRowsBackward: return mean_rows_backward(node, limits);
        case Op::Normalize: return by_rows(base(kNormalize, node), node, limits, R, 3 * kMove * real(p.C));
        case Op::NormalizeBackward: return by_rows(base(kNormalizeBackward, node), node, limits, R, 5 * kMove * real(p.C));
        case Op::Similarity: return by_rows(base(kSimilarity, node), node, limits, R, 2 * kMove * real(p.N) * real(p.C));
        case Op::SimilarityBackward: return similarity_backward(node, limits);
        case Op::SumSquares: return sum_squares(node, limits);
        case Op::ClipFactor: return {base(kClipFactor, node)};
        case Op::AdamW:
        case Op::Sgd:
        case Op::Adagrad: return update(node, limits);
        case Op::Count: CHECK(!"no such op");
    }
    return {};
}

}  // namespace nib::vulkan
