#include "check/op_case.h"

#include <algorithm>

#include "core/error.h"
#include "core/ops.h"
#include "core/philox.h"

namespace nib::check {
namespace {

// A number read as digits of changing base: counts through, or picks at random from, combinations of options.
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
    uint64_t count() const { return count_; }  // combinations so far

private:
    uint64_t left_, count_ = 1;
};

Params shape(int64_t B, int64_t T, int64_t C, int64_t N, int64_t H, int64_t S) {
    Params p;
    p.B = B, p.T = T, p.C = C, p.N = N, p.H = H, p.S = S;
    return p;
}

// Sets the options that a case's op has, from a number.
class OptionChoice {
public:
    OptionChoice(OpCase& c, uint64_t number) : c_(c), choice_(number) {
        c.step.seed = 0x123456789ABCDEFull;
        c.step.index = 7;
        c.step.loss_scale = 0.125f;
        c.p.stream = 5;
        c.p.eps = 1e-5f;
        c.misaligned = choice_.flag();
        choose();
    }
    uint64_t combinations() const { return choice_.count(); }

private:
    void choose() {
        switch (c_.op) {
            case Op::Embed: return embed();
            case Op::EmbedBackward: return embed_backward();
            case Op::Norm:
                optional_in(2);
                if (choice_.flag()) c_.without_out = 6;
                return;
            case Op::NormBackward: c_.accumulate = choice_.flag(); return;
            case Op::Linear: return linear();
            case Op::LinearBackwardEpilogue: return linear_backward_epilogue();
            case Op::LinearBackward:
                c_.p.by_columns = choice_.flag();
                c_.accumulate = choice_.flag();
                return;
            case Op::NormBackwardWeight:
            case Op::LinearBackwardWeight: optional_out(1); return weight_gradient();
            case Op::Attention:
            case Op::AttentionBackward: return dropout();
            case Op::CrossEntropy:
                optional_out(2);
                c_.in_place = choice_.flag();
                if (!c_.in_place) optional_out(1);
                return;
            case Op::ClipFactor: c_.step.clip = std::array{0.0f, 1.0f, 1000.0f}[choice_.pick(3)]; return;
            case Op::AdamW:
            case Op::Sgd: return optimizer();
            default: return;
        }
    }

    void embed() {
        dropout();
        optional_in(3);
        if (c_.without_in & 8) c_.p.S = 0, c_.without_in |= choice_.flag() ? 2 : 0;
    }
    void embed_backward() {
        dropout();
        optional_out(1);
        if (c_.without_out & 2) c_.p.S = 0, c_.without_in |= choice_.flag() ? 4 : 0;
        weight_gradient();
    }
    void linear() {
        c_.p.by_columns = choice_.flag();
        optional_in(2), optional_in(3);
        dropout();
        c_.p.act = static_cast<Act>(choice_.pick(4));
        optional_out(1);
        if (c_.p.act == Act::None) c_.without_out = 2;  // y says it all; no graph asks for both
    }
    void linear_backward_epilogue() {
        c_.in_place = choice_.flag();
        dropout();
        c_.p.act = static_cast<Act>(choice_.pick(4));
        if (c_.p.act == Act::None) c_.without_in = 2;
    }
    void optimizer() {
        if (c_.op == Op::Sgd) optional_out(1);
        c_.p.decay = choice_.flag();
        c_.step.lr = 0.01f, c_.step.beta1 = 0.9f, c_.step.beta2 = 0.95f, c_.step.eps = 1e-8f;
        c_.step.weight_decay = 0.1f, c_.step.momentum = 0.9f;
        c_.step.correction1 = 0.271f, c_.step.correction2 = 0.142625f;
    }

    void optional_in(int i) { c_.without_in |= choice_.flag() ? 1u << i : 0; }
    void optional_out(int i) { c_.without_out |= choice_.flag() ? 1u << i : 0; }
    void dropout() { c_.p.dropout = static_cast<uint32_t>(std::array{0, 6554, 32768}[choice_.pick(3)]); }
    // = everywhere, += by node for each of the outputs, += by step
    void weight_gradient() {
        const int how = choice_.pick(3);
        c_.accumulate = static_cast<uint8_t>(how == 1 ? 3 & ~c_.without_out : 0);
        c_.step.accumulate = how == 2;
    }

    OpCase& c_;
    Choice choice_;
};

}  // namespace

uint32_t Random::bits() {
    if (count_ % 4 == 0) block_ = philox({count_ / 4, 0, 0, 0}, seed_);
    return block_[count_++ % 4];
}

std::string OpCase::text() const {
    const auto n = [](int64_t i) { return std::to_string(i); };
    return std::string(op_name(op)) + " B " + n(p.B) + " T " + n(p.T) + " C " + n(p.C) + " N " + n(p.N) + " H " + n(p.H) +
           " S " + n(p.S) + " type " + dtype_info(p.type)->name + "/" + dtype_info(p.position_type)->name + " act " +
           n(static_cast<int>(p.act)) + " dropout " + n(p.dropout) + "/65536" + (p.by_columns ? " by columns" : "") +
           (p.decay ? " decay" : "") + " accumulate " + n(accumulate) + (step.accumulate ? " (and step)" : "") +
           " without in " + n(without_in) + " out " + n(without_out) + (in_place ? " in place" : "") +
           (halves ? " halves " + n(halves) : "") + (misaligned ? " misaligned" : "") + " rows " + n(step.rows) +
           (special_in < 0 ? "" : strprintf(" in[%d] has %g", special_in, static_cast<double>(special)));
}

OpCase make_case(Op op, int64_t B, int64_t T, int64_t C, int64_t N, int64_t H, int64_t S, uint64_t options) {
    OpCase c;
    c.op = op;
    c.p = shape(B, T, C, N, H, S);
    c.seed = options + 1;
    OptionChoice(c, options);
    return c;
}

void for_each_case(Op op, const std::vector<int64_t>& sizes, const std::function<void(const OpCase&)>& body) {
    Random random(static_cast<uint64_t>(op) + 1);
    uint64_t seed = 1;
    const auto emit = [&](const Params& p, uint64_t options) {
        OpCase c;
        c.op = op;
        c.p = p;
        c.seed = seed++;
        const uint64_t combinations = OptionChoice(c, options).combinations();
        body(c);
        return combinations;
    };
    const bool attention = op == Op::Attention || op == Op::AttentionBackward || op == Op::AttentionCached;
    for (uint64_t i = 0, n = 1; i < n; ++i) n = emit(attention ? shape(2, 5, 12, 12, 3, 11) : shape(2, 9, 37, 35, 1, 7), i);
    if (attention) {
        for (const int64_t D : {1, 3, 8, 16, 32, 64, 80, 128})
            for (const int64_t T : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 129, 200}) {
                const int64_t B = T > 40 ? 1 : random.between(1, 3),
                              H = T > 40 ? random.between(1, 2) : random.between(1, 3);
                const int64_t chunk = op == Op::AttentionCached && random.below(2) ? 1 : T;
                emit(shape(B, chunk, H * D, H * D, H, T + random.below(20)), random.bits());
            }
        for (const int64_t T : sizes)
            if (T <= 200) emit(shape(1, T, 24, 24, 2, T + random.below(3)), random.bits());
        return;
    }
    for (const int64_t size : sizes)
        for (int axis = 0; axis < 3; ++axis) {
            if (axis == 2 && (op == Op::Norm || op == Op::NormBackward || op == Op::NormBackwardWeight)) continue;  // no N
            const auto other = [&](int which) { return axis == which ? size : random.between(1, 23); };
            const int64_t B = axis == 0 ? 1 : random.between(1, 3);
            for (int repeat = 0; repeat < 2; ++repeat)
                emit(shape(B, other(0), other(1), other(2), 1, random.between(1, 40)), random.bits());
        }
}

void for_each_typed_case(Op op, const std::function<void(const OpCase&)>& body) {
    using enum DType;
    constexpr std::array kWeightTypes{F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};
    Random random(static_cast<uint64_t>(op) + 5);
    // Channels in are whole blocks; of types without blocks, any number.
    const auto channels = [&](DType type) {
        const int64_t block = dtype_info(type)->block_size;
        return block == 1 ? random.between(1, 70) : block * random.between(1, block == 32 ? 9 : 3);
    };
    if (op == Op::Linear)
        for (const DType type : kWeightTypes)
            for (const int64_t R : {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 40})
                for (int repeat = 0; repeat < 6; ++repeat) {
                    const int64_t N = repeat == 0 ? 4 : random.between(1, 70);
                    OpCase c = make_case(op, 1, R, channels(type), N, 1, 1, random.bits());
                    c.p.type = type;
                    if (R <= kFewRows || dtype_info(type)->block_size > 1) c.p.by_columns = true;  // as compile() chooses
                    c.without_out = 2;
                    c.p.dropout = 0;
                    body(c);
                }
    if (op == Op::Embed)
        for (const DType type : kWeightTypes)
            for (const DType position_type : {F32, F16, type}) {
                OpCase c = make_case(op, 1, random.between(1, 5), channels(type), 7, 1, 5, random.bits());
                c.p.type = type;
                if (c.p.S > 0) c.p.position_type = position_type;
                body(c);
            }
    if (op == Op::AttentionCached)
        for (const int64_t D : {1, 3, 8, 16, 24, 64, 80})
            for (const int64_t T : {1, 2, 7, 8, 9, 33, 70}) {
                const int64_t B = T > 10 ? 1 : random.between(1, 3), H = random.between(1, 3);
                OpCase c = make_case(op, B, T, H * D, H * D, H, T + random.below(150), random.bits());
                c.p.type = F16;
                body(c);
            }
}

void for_each_case_of_halves(Op op, const std::function<void(const OpCase&)>& body) {
    constexpr unsigned kOut = 1 << kMaxIn, kPre = kOut << 1;
    const bool attention = op == Op::Attention || op == Op::AttentionBackward;
    unsigned all = 0;
    if (op == Op::Norm) all = kOut;
    if (op == Op::Linear) all = kOut | kPre | 0b1;
    if (op == Op::LinearBackwardEpilogue || op == Op::LinearBackwardWeight) all = 0b10;
    if (op == Op::Attention) all = kOut | 0b1;
    if (op == Op::AttentionBackward) all = 0b110;
    Random random(static_cast<uint64_t>(op) + 11);
    const auto fours = [&](int64_t n) { return 4 * random.between(1, n); };
    for (unsigned halves = all; halves > 0; halves = (halves - 1) & all)  // its subsets
        for (int repeat = 0; repeat < 4; ++repeat) {
            const int64_t H = random.between(1, 3), C = attention ? H * (repeat % 2 ? 32 : 4) : fours(40);
            OpCase c = make_case(op, random.between(1, 3), random.between(1, 40), C, attention ? C : fours(40), H, 1,
                                 random.bits());
            c.halves = static_cast<uint8_t>(halves & ~(c.without_out << kMaxIn));
            if (c.halves == 0) continue;
            c.misaligned = false;
            if (op == Op::LinearBackwardWeight || (op == Op::Linear && c.halves == 1))
                c.p.N -= random.below(4);  // as of an output head
            body(c);
        }
}

void for_each_large_case(Op op, const std::function<void(const OpCase&)>& body) {
    Random random(99);
    const auto emit = [&](int64_t B, int64_t T, int64_t C, int64_t N) {
        body(make_case(op, B, T, C, N, 1, 64, random.bits()));
    };
    switch (op) {
        case Op::Linear:
        case Op::LinearBackward:
        case Op::LinearBackwardWeight:
            emit(2, 100, 520, 130), emit(1, 37, 2100, 33), emit(5, 106, 41, 40), emit(1, 20, 33, 2500);
            emit(4, 64, 192, 192), emit(1, 1, 768, 2304), emit(1, 3, 3072, 768), emit(3, 350, 17, 31);
            return emit(1, 5, 64, 5000);
        case Op::CrossEntropy: return emit(1, 7, 1, 5000), emit(1, 3, 1, 4999), emit(2, 70, 1, 65);
        case Op::Embed:
        case Op::EmbedBackward: return emit(4, 100, 192, 300), emit(1, 1, 1024, 5000);
        case Op::SumSquares: return emit(1, 1, 65536, 1), emit(1, 1, 65537, 1), emit(1, 1, 200003, 1);
        case Op::ClipFactor: return emit(1, 1, 1, 5000);
        case Op::AdamW:
        case Op::Sgd: return emit(1, 1, 4096, 1), emit(1, 1, 4097, 1), emit(1, 1, 50001, 1);
        case Op::AttentionCached:  // many rows behind others
            for (const int64_t D : {5, 16, 64})
                for (const int64_t T : {9, 40, 130})
                    for (const int64_t B : {1, 2})
                        for (const DType type : {DType::F32, DType::F16}) {
                            OpCase c = make_case(op, B, T, 3 * D, 3 * D, 3, T + random.between(1, 100), random.bits());
                            c.p.type = type;
                            body(c);
                        }
            return;
        case Op::Attention:
        case Op::AttentionBackward: return;  // for_each_case has them
        default: return emit(3, 130, 1000, 7), emit(1, 2, 4099, 3);
    }
}

void for_each_case_of_fewer_rows(Op op, const std::function<void(const OpCase&)>& body) {
    const auto ops = {Op::Embed, Op::Norm, Op::Linear, Op::AttentionCached, Op::CrossEntropy, Op::LinearBackward};
    if (std::find(ops.begin(), ops.end(), op) == ops.end()) return;
    Random random(7);
    for (const int64_t T : {2, 9, 33, 70})
        for (int repeat = 0; repeat < 16; ++repeat) {
            OpCase c = make_case(op, 1, T, 24, 19, 3, T + 8, random.bits());
            c.step.rows = random.between(1, T);
            body(c);
        }
}

}  // namespace nib::check
