#include "check/op_case.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/philox.h"

namespace nib::check {
namespace {

// Decodes a number as mixed-radix digits, one for each option, to enumerate combinations of options or to pick some at
// random. An op always takes the same digits, so that their number does not depend on the values.
class Choice {
public:
    explicit Choice(uint64_t number) : left_(number) {}
    int pick(int n) {
        const int digit = static_cast<int>(left_ % static_cast<uint64_t>(n));
        left_ /= static_cast<uint64_t>(n);
        count_ *= static_cast<uint64_t>(n);
        return digit;
    }
    bool flag() { return pick(2) != 0; }
    uint64_t count() const { return count_; }  // combinations

private:
    uint64_t left_, count_ = 1;
};

void choose_operands(OpCase& c, Choice& choice) {
    c.misaligned = choice.flag();
    bool slices = false, replaces = false, weights = false;
    for (int i = 0; i < kMaxOperands; ++i) {
        const Operand& operand = op_info(c.op).operands[i];
        if (!operand) continue;
        if (operand.optional) c.absent[static_cast<size_t>(i)] = choice.flag();
        if (operand.writes == Writes::Adds || operand.writes == Writes::AddsWeight)
            c.accumulate |= static_cast<uint8_t>(choice.flag() << (i - kMaxIn));
        slices = slices || operand.slice;
        replaces = replaces || !operand.in_place_of.empty();
        weights = weights || operand.writes == Writes::AddsWeight;
    }
    if (slices) c.sliced = choice.flag();
    if (replaces) c.in_place = choice.flag();
    if (weights) c.step.accumulate = choice.flag();
}

void choose_options(OpCase& c, Choice& choice) {
    const OpInfo& info = op_info(c.op);
    Params& p = c.p;
    const auto flag = [&](const char* name, bool& option) {
        if (info.has_option(name)) option = choice.flag();
    };
    flag("causal", p.causal), flag("rms", p.rms), flag("decay", p.decay), flag("l2", p.l2);
    flag("binary", p.binary), flag("interleaved", p.interleaved), flag("inverse", p.inverse);
    if (info.units == Units::RowsOrOutputs || info.units == Units::RowsOrColumns) p.by_columns = choice.flag();
    if (info.has_option("act")) p.act = static_cast<Act>(choice.pick(kActCount));
    if (info.has_option("dropout")) p.dropout = std::array{0u, 6554u, 32768u}[static_cast<size_t>(choice.pick(3))];
    if (info.has_option("smoothing")) p.smoothing = choice.flag() ? 0.1f : 0.0f;
    if (info.has_option("clip_low")) p.clip_low = choice.flag() ? 0.2f : 0.5f, p.clip_high = 0.3f;
    if (info.has_option("beta")) p.beta = choice.flag() ? 0.1f : 1.5f;
    if (info.has_option("entropy_weight")) p.entropy_weight = 0.25f;
    if (info.has_option("preference")) p.preference = static_cast<Preference>(choice.pick(kPreferenceCount));
    if (info.has_option("eps")) p.eps = choice.flag() ? 1e-2f : 1e-5f;
    if (info.has_option("scale"))
        p.scale = (choice.flag() ? 0.6f : 1.0f) / std::sqrt(static_cast<float>(std::max<int64_t>(1, p.D)));
    if (info.has_option("window"))
        p.window = std::array{int64_t{0}, 1 + static_cast<int64_t>(c.seed) % p.S, p.S}[static_cast<size_t>(choice.pick(3))];
    if (c.op == Op::Rope) {  // rotates some heads of a row, and an even number of a head's elements
        p.S += p.S % 2;
        p.D = p.S + 2 * choice.pick(3);
        p.C = std::max(p.C, p.D);
        p.H = choice.flag() ? p.C / p.D : 1;
    }
    if (c.op == Op::ClipFactor) c.step.clip = std::array{0.0f, 1.0f, 1000.0f}[static_cast<size_t>(choice.pick(3))];
}

// Dependencies between an op's operands, dimensions and options that its row does not state.
void make_consistent(OpCase& c) {
    Params& p = c.p;
    const auto absent = [&](int operand) -> bool& { return c.absent[static_cast<size_t>(operand)]; };
    switch (c.op) {
        case Op::Embed: {
            using O = operand::Embed;
            absent(O::positions) = absent(O::wpe), absent(O::segments) = absent(O::wse);
            break;
        }
        case Op::EmbedBackward: {
            using O = operand::EmbedBackward;
            if (absent(O::positions)) absent(O::dwpe) = true;
            if (absent(O::segments)) absent(O::dwse) = true;
            if (absent(O::dwpe) && absent(O::dwse)) absent(O::dwte) = false;
            break;
        }
        case Op::Norm: {
            using O = operand::Norm;
            absent(O::mean) = absent(O::rstd) || p.rms;
            break;
        }
        case Op::NormBackward: absent(operand::NormBackward::mean) = p.rms; break;
        case Op::NormBackwardWeight: absent(operand::NormBackwardWeight::mean) = p.rms; break;
        case Op::Linear:  // without an activation, pre would equal y
            if (p.act == Act::None) absent(operand::Linear::pre) = true;
            break;
        case Op::LinearBackwardEpilogue:
            absent(operand::LinearBackwardEpilogue::pre) = p.act == Act::None;
            if (c.in_place) c.accumulate = 0;
            break;
        case Op::Attention:
            if (p.causal) p.S = p.T;
            if (p.dropout != 0) absent(operand::Attention::weights) = true;
            break;
        case Op::AttentionBackward:
            if (p.causal) p.S = p.T;
            break;
        case Op::CrossEntropy:
            if (c.in_place) absent(operand::CrossEntropy::dlogits) = false;
            break;
        case Op::LogProbBackward: {
            using O = operand::LogProbBackward;
            absent(O::dentropy) = absent(O::entropy);
            break;
        }
        case Op::ValueLoss:
            if (c.in_place) absent(operand::ValueLoss::dvalues) = false;
            if (p.binary) absent(operand::ValueLoss::old) = true;
            break;
        case Op::PolicyLoss: {
            using O = operand::PolicyLoss;
            if (absent(O::entropy)) absent(O::dentropy) = true;
            break;
        }
        case Op::SpanLoss:
            if (c.in_place) absent(operand::SpanLoss::dlogits) = false;
            break;
        case Op::SimilarityBackward: {
            using O = operand::SimilarityBackward;
            if (absent(O::da)) absent(O::db) = false;
            break;
        }
        case Op::SumSquares: p.N = op_units(c.op, p); break;
        default: break;
    }
}

bool mentions(const Operand& operand, char letter) { return operand.dims.find(letter) != std::string_view::npos; }

// An absent table has no rows.
void clear_absent_tables(OpCase& c) {
    for (const auto& [letter, size] : {std::pair('S', &c.p.S), std::pair('L', &c.p.L)}) {
        bool in_row = false, there = false;
        for (int i = 0; i < kMaxOperands; ++i) {
            const bool here = mentions(op_info(c.op).operands[i], letter);
            in_row = in_row || here;
            there = there || (here && c.has(i));
        }
        if (in_row && !there) *size = 0;
    }
}

}  // namespace

uint32_t Random::bits() {
    if (count_ % 4 == 0) block_ = philox({count_ / 4, 0, 0, 0}, seed_);
    return block_[count_++ % 4];
}

DType OpCase::type(int operand) const {
    const Types allowed = op_info(op).operands[operand].types;
    if (is_index(allowed)) return DType::I32;
    switch (allowed) {
        case Types::F64: return DType::F64;
        case Types::F32: return DType::F32;
        default: return types[static_cast<size_t>(operand)];
    }
}

bool OpCase::is_f16_activation(int operand) const {
    return op_info(op).operands[operand].types == Types::Activation && type(operand) == DType::F16;
}

OpCase::Replaced OpCase::replaced() const {
    for (int i = kMaxIn; in_place && i < kMaxOperands; ++i)
        if (const std::string_view input = op_info(op).operands[i].in_place_of; !input.empty() && has(i))
            return {i, op_info(op).find(input)};
    return {};
}

std::string OpCase::text() const {
    const OpInfo& info = op_info(op);
    std::string s = info.name;
    const auto number = [&](const char* name, auto value) { s += std::string(" ") + name + " " + std::to_string(value); };
    const auto flag = [&](const char* name, bool value) { s += value ? std::string(" ") + name : ""; };
    for (const auto& [name, size] : {
             std::pair("B", p.B),
             {"T",         p.T        },
             {"C",         p.C        },
             {"N",         p.N        },
             {"H",         p.H        },
             {"G",         p.G        },
             {"S",         p.S        },
             {"L",         p.L        },
             {"K",         p.K        },
             {"D",         p.D        },
             {"window",    p.window   },
             {"first row", p.first_row}
    })
        if (size != 0) number(name, size);
    if (info.has_option("act")) number("act", static_cast<int>(p.act));
    if (info.has_option("scale")) s += strprintf(" scale %g", static_cast<double>(p.scale));
    if (info.has_option("eps")) s += strprintf(" eps %g", static_cast<double>(p.eps));
    if (info.has_option("clip_low"))
        s += strprintf(" clip %g %g", static_cast<double>(p.clip_low), static_cast<double>(p.clip_high));
    if (info.has_option("beta")) s += strprintf(" beta %g", static_cast<double>(p.beta));
    if (info.has_option("preference")) number("preference", static_cast<int>(p.preference));
    if (p.smoothing != 0) s += strprintf(" smoothing %g", static_cast<double>(p.smoothing));
    if (p.dropout != 0) number("dropout of 65536", p.dropout);
    flag("causal", p.causal), flag("rms", p.rms), flag("decay", p.decay), flag("l2", p.l2), flag("binary", p.binary),
        flag("interleaved", p.interleaved);
    flag("inverse", p.inverse), flag("by columns", p.by_columns);
    for (int i = 0; i < kMaxOperands; ++i) {
        const Operand& operand = info.operands[i];
        if (!operand) continue;
        if (!has(i)) s += std::string(" no ") + operand.name;
        if (type(i) != DType::F32 && !is_index(operand.types) && operand.types != Types::F64)
            s += std::string(" ") + operand.name + " " + dtype_info(type(i))->name;
        if (i >= kMaxIn && (accumulate >> (i - kMaxIn) & 1) != 0) s += std::string(" ") + operand.name + " +=";
    }
    flag("accumulate", step.accumulate != 0), flag("in place", in_place), flag("sliced", sliced);
    flag("misaligned", misaligned);
    if (row_count >= 0) number("live rows", step.rows[row_count]);
    if (key_row_count >= 0) number("live key rows", step.rows[key_row_count]);
    if (special_in >= 0) s += strprintf(" with %g in %s", static_cast<double>(special), info.operands[special_in].name);
    return s;
}

namespace {

// A case, and the number of combinations of options.
std::pair<OpCase, uint64_t> choose(Op op, const Params& dimensions, uint64_t options) {
    OpCase c;
    c.op = op;
    c.p = dimensions;
    c.p.stream = 5;
    c.seed = options + 1;
    c.step.seed = 0x123456789ABCDEFull;
    c.step.index = 7;
    c.step.loss_scale = 0.125f;
    c.step.lr = 0.01f, c.step.beta1 = 0.9f, c.step.beta2 = 0.95f, c.step.eps = 1e-8f;
    c.step.weight_decay = 0.1f, c.step.momentum = 0.9f;
    c.step.correction1 = 0.271f, c.step.correction2 = 0.142625f;
    Choice choice(options);
    choose_operands(c, choice);
    choose_options(c, choice);
    make_consistent(c);
    clear_absent_tables(c);
    for (int i = kMaxIn; i < kMaxOperands; ++i)
        if (!c.has(i)) c.accumulate &= static_cast<uint8_t>(~(1 << (i - kMaxIn)));
    return {c, choice.count()};
}

// ---- shapes ----------------------------------------------------------------------------------------------------------

bool mentions(Op op, char letter) {
    const auto& operands = op_info(op).operands;
    return std::any_of(operands, operands + kMaxOperands, [&](const Operand& o) { return mentions(o, letter); });
}

std::vector<int> operands_of(Op op, Types types) {
    std::vector<int> list;
    for (int i = 0; i < kMaxOperands; ++i)
        if (op_info(op).operands[i] && op_info(op).operands[i].types == types) list.push_back(i);
    return list;
}

// Attention and its cache: channels are heads times their size.
bool has_heads(Op op) { return mentions(op, 'K') || mentions(op, 'D'); }

// Ops on N rows or texts, which have a row count of their own.
bool has_rows_of_their_own(Op op) {
    const auto& operands = op_info(op).operands;
    return std::any_of(operands, operands + kMaxOperands, [](const Operand& o) { return o.shape().starts_with("1,N"); });
}

Params head_shape(int64_t B, int64_t T, int64_t S, int64_t H, int64_t G, int64_t D, int64_t slots = 0) {
    Params p;
    p.B = B, p.T = T, p.S = S, p.H = H, p.G = G, p.D = D, p.N = slots;
    p.C = H * D, p.K = G * D;
    return p;
}

// Random heads. The number of keys may equal that of the queries; a cache has room for all rows.
Params head_shape(Op op, Random& random, int64_t T, int64_t D) {
    const bool is_long = T > 40, is_cache = mentions(op, 'D');
    const int64_t B = is_long ? 1 : random.between(1, 3), H = random.between(1, is_long ? 2 : 4);
    int64_t G = H;
    if (random.below(2)) do
            G = random.between(1, H);
        while (H % G != 0);
    const int64_t slots = B + random.below(3), room = T + random.below(20);
    if (is_cache) return head_shape(B, random.below(2) ? 1 : T, room, H, G, D, slots);
    return head_shape(B, T, random.below(2) ? T : random.between(1, room), H, G, D);
}

constexpr uint64_t kMostCombinations = 300;

}  // namespace

OpCase make_case(Op op, const Params& dimensions, uint64_t options) { return choose(op, dimensions, options).first; }

void for_each_case(Op op, const std::vector<int64_t>& sizes, const std::function<void(const OpCase&)>& body) {
    Random random(static_cast<uint64_t>(op) + 1);
    uint64_t seed = 1;
    const auto emit = [&](const Params& p, uint64_t options) {
        auto [c, combinations] = choose(op, p, options);
        c.seed = seed++;
        body(c);
        return combinations;
    };
    const Params base =
        has_heads(op) ? head_shape(2, 5, 11, 4, 2, 4, 3) : Params{.B = 2, .T = 9, .C = 37, .N = 35, .S = 7, .L = 3};
    for (uint64_t i = 0, n = choose(op, base, 0).second; i < std::min(n, kMostCombinations); ++i)
        emit(base, n <= kMostCombinations ? i : random.bits());
    if (has_heads(op)) {
        for (const int64_t D : {1, 3, 8, 16, 24, 32, 64, 80, 128})
            for (const int64_t T : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 129, 200})
                emit(head_shape(op, random, T, D), random.bits());
        for (const int64_t T : sizes)
            if (T <= 200) emit(head_shape(op, random, T, 12), random.bits());
        return;
    }
    for (const int64_t size : sizes)
        for (const char axis : {'T', 'C', 'N', 'S', 'L'}) {
            if (!mentions(op, axis)) continue;
            const auto other = [&](char letter) { return letter == axis ? size : random.between(1, 23); };
            for (int repeat = 0; repeat < 2; ++repeat)
                emit({.B = axis == 'T' ? 1 : random.between(1, 3),
                      .T = other('T'),
                      .C = other('C'),
                      .N = other('N'),
                      .S = other('S'),
                      .L = other('L')},
                     random.bits());
        }
}

void for_each_typed_case(Op op, const std::function<void(const OpCase&)>& body) {
    using enum DType;
    constexpr std::array kWeightTypes{F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};
    Random random(static_cast<uint64_t>(op) + 5);
    const std::vector<int> weights = operands_of(op, Types::Weight), caches = operands_of(op, Types::Cache);
    const auto emit = [&](int64_t R, DType type, DType others, int64_t N) {
        const int64_t block = dtype_info(type)->block_size;  // channels are whole blocks
        const int64_t C = block == 1 ? random.between(1, 70) : block * random.between(1, block == 32 ? 9 : 3);
        OpCase c = make_case(op, {.B = 1, .T = R, .C = C, .N = N, .S = 5, .L = 3}, random.bits());
        for (const int w : weights) c.types[static_cast<size_t>(w)] = w == weights[0] ? type : others;
        if (op == Op::Linear && (R <= kFewRows || block > 1)) c.p.by_columns = true;  // as compile() chooses
        body(c);
    };
    if (weights.size() == 1)
        for (const DType type : kWeightTypes)
            for (const int64_t R : {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 40})
                for (int repeat = 0; repeat < 6; ++repeat) emit(R, type, type, repeat == 0 ? 4 : random.between(1, 70));
    if (weights.size() > 1)
        for (const DType type : kWeightTypes)
            for (const DType others : {F32, F16, type})
                for (int repeat = 0; repeat < 4; ++repeat) emit(random.between(1, 5), type, others, 7);
    if (!caches.empty())
        for (const int64_t D : {1, 3, 8, 16, 24, 64, 80})
            for (const int64_t T : {1, 2, 7, 8, 9, 33, 70}) {
                OpCase c = make_case(op, head_shape(op, random, T, D), random.bits());
                for (const int cache : caches) c.types[static_cast<size_t>(cache)] = F16;
                body(c);
            }
}

void for_each_case_of_f16(Op op, const std::function<void(const OpCase&)>& body) {
    // Groups of operands that have one type: slices of one tensor do.
    std::vector<std::vector<int>> groups;
    bool slices = false;
    for (const int i : operands_of(op, Types::Activation)) {
        const bool slice = op_info(op).operands[i].slice;
        if (slice && std::exchange(slices, true))
            groups.back().push_back(i);
        else
            groups.push_back({i});
    }
    Random random(static_cast<uint64_t>(op) + 11);
    const auto multiple_of_4 = [&](int64_t n) { return 4 * random.between(1, n); };
    for (unsigned subset = 1; subset < 1u << groups.size(); ++subset)
        for (int repeat = 0; repeat < 4; ++repeat) {
            Params p{.B = random.between(1, 3), .T = random.between(1, 40), .C = multiple_of_4(40), .N = multiple_of_4(40)};
            if (has_heads(op)) p = head_shape(op, random, p.T, repeat % 2 ? 32 : 4);
            OpCase c = make_case(op, p, random.bits());
            bool any = false, outputs = false;
            for (size_t g = 0; g < groups.size(); ++g)
                for (const int i : groups[g]) {
                    if ((subset >> g & 1) == 0 || !c.has(i)) continue;
                    c.types[static_cast<size_t>(i)] = DType::F16;
                    any = true, outputs = outputs || i >= kMaxIn;
                }
            if (!any) continue;
            c.misaligned = false;
            if (op == Op::LinearBackwardWeight || (op == Op::Linear && !outputs)) c.p.N -= random.below(4);  // as of a head
            body(c);
        }
}

void for_each_large_case(Op op, const std::function<void(const OpCase&)>& body) {
    Random random(99);
    const auto emit = [&](int64_t B, int64_t T, int64_t C, int64_t N) {
        body(make_case(op, {.B = B, .T = T, .C = C, .N = N, .S = 64, .L = 2}, random.bits()));
    };
    switch (op) {
        case Op::Linear:
        case Op::LinearBackward:
        case Op::LinearBackwardWeight:
            emit(2, 100, 520, 130), emit(1, 37, 2100, 33), emit(5, 106, 41, 40), emit(1, 20, 33, 2500);
            emit(4, 64, 192, 192), emit(1, 1, 768, 2304), emit(1, 3, 3072, 768), emit(3, 350, 17, 31);
            return emit(1, 5, 64, 5000);
        case Op::CrossEntropy:
        case Op::LogProbBackward: return emit(1, 7, 1, 5000), emit(1, 3, 1, 4999), emit(2, 70, 1, 65);
        case Op::Embed:
        case Op::EmbedBackward: return emit(4, 100, 192, 300), emit(1, 1, 1024, 5000);
        case Op::SumSquares: return emit(1, 1, 65536, 1), emit(1, 1, 65537, 1), emit(1, 1, 200003, 1);
        case Op::ClipFactor: return emit(1, 1, 1, 5000);
        case Op::AdamW:
        case Op::Sgd:
        case Op::Adagrad: return emit(1, 1, 4096, 1), emit(1, 1, 4097, 1), emit(1, 1, 50001, 1);
        case Op::CacheStore:
        case Op::AttentionCached:  // many rows after those in the cache
            for (const int64_t D : {5, 16, 64})
                for (const int64_t T : {9, 40, 130})
                    for (const int64_t B : {1, 2})
                        for (const DType type : {DType::F32, DType::F16}) {
                            const int64_t S = T + random.between(1, 100);
                            OpCase c = make_case(op, head_shape(B, T, S, 3, B == 1 ? 3 : 1, D, 2), random.bits());
                            for (const int cache : operands_of(op, Types::Cache))
                                c.types[static_cast<size_t>(cache)] = type;
                            body(c);
                        }
            return;
        case Op::Attention:
        case Op::AttentionBackward:  // others are in for_each_case; here many keys that most queries do not see
            for (const uint64_t seed : {1, 2, 4}) {
                OpCase c = make_case(op, head_shape(1, 700, 700, 2, 1, 16, 0), random.bits());
                c.seed = seed;
                c.p.window = seed == 1 ? 60 : 0;
                c.absent[static_cast<size_t>(op_info(op).find("spans"))] = false;
                if (op == Op::Attention) c.absent[operand::Attention::weights] = true;
                body(c);
            }
            return;
        default: return emit(3, 130, 1000, 7), emit(1, 2, 4099, 3);
    }
}

void for_each_case_of_fewer_rows(Op op, const std::function<void(const OpCase&)>& body) {
    if (!mentions(op, 'T')) return;
    Random random(7);
    for (const int64_t T : {2, 9, 33, 70})
        for (int repeat = 0; repeat < 16; ++repeat) {
            const Params dimensions = has_heads(op) ? head_shape(1, T, repeat % 2 ? T : T + 8, 4, 2, 6, 2)
                                                    : Params{.B = 1, .T = T, .C = 24, .N = 19, .S = T + 8, .L = 3};
            OpCase c = make_case(op, dimensions, random.bits());
            c.row_count = 1;
            c.step.rows[1] = random.between(1, T);
            if (op == Op::Attention || op == Op::AttentionBackward) {
                c.key_row_count = c.p.causal ? 1 : 2;
                if (!c.p.causal)
                    c.absent[static_cast<size_t>(op_info(op).find("spans"))] = false;  // without them all rows are in use
                c.step.rows[2] = random.between(1, c.p.S);
            } else if (has_rows_of_their_own(op)) {
                c.key_row_count = 2;
                c.step.rows[2] = random.between(1, c.p.N);
            } else if (!has_heads(op) && repeat % 4 == 0) {  // part of a tensor, perhaps with no row in use
                c.p.first_row = T;
                c.step.rows[1] += repeat % 8 == 0 ? 0 : T;
            }
            body(c);
        }
}

}  // namespace nib::check
