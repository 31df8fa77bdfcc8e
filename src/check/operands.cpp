#include "check/operands.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/error.h"
#include "core/ops.h"
#include "ref/kernels.h"
#include "quant/quantize.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(address, size) (void(address), void(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (void(address), void(size))
#endif

namespace nib::check {
namespace {

constexpr std::byte kPattern{0xFF};  // a NaN in float and double, -1 in int32
constexpr size_t kGuard = 256, kAlign = 64;

template <class Real>
constexpr DType real_type = std::is_same_v<Real, float> ? DType::F32 : DType::F64;

}  // namespace

// ---- memory ----------------------------------------------------------------------------------------------------------

GuardedTensor::GuardedTensor(DType type, int64_t count, bool misaligned)
    : type_(type), count_(static_cast<size_t>(count)), memory_(2 * kGuard + bytes() + 2 * kAlign, kPattern) {
    const size_t start = reinterpret_cast<uintptr_t>(memory_.data()) % kAlign;
    begin_ = kGuard + (kAlign - start) % kAlign + (misaligned ? static_cast<size_t>(dtype_info(type)->block_bytes) : 0);
}

void GuardedTensor::close(bool closed) {
    if (!present()) return;
    std::byte* const end = memory_.data() + memory_.size();
    if (closed) {
        ASAN_POISON_MEMORY_REGION(memory_.data(), begin_);
        ASAN_POISON_MEMORY_REGION(data() + bytes(), static_cast<size_t>(end - data()) - bytes());
    } else {
        ASAN_UNPOISON_MEMORY_REGION(memory_.data(), static_cast<size_t>(end - memory_.data()));
    }
}

bool GuardedTensor::guards_intact() const {
    const auto untouched = [](std::byte b) { return b == kPattern; };
    return std::all_of(memory_.data(), data(), untouched) &&
           std::all_of(data() + bytes(), memory_.data() + memory_.size(), untouched);
}

// ---- tensors ---------------------------------------------------------------------------------------------------------

template <class Real>
Operands<Real>::Operands(const OpCase& c) : case_(c) {
    call_.op = c.op;
    call_.p = c.p;
    call_.accumulate = c.accumulate;
    call_.step = &case_.step;
    place();
    for (int i = 0; i < kMaxIn; ++i)
        if (in[i].present()) call_.in[i] = in[i].data();
    for (int i = 0; i < kMaxOut; ++i)
        if (out[i].present()) call_.out[i] = out[i].data();
    fill();
    if (c.special_in >= 0 && in[c.special_in].present()) fill_special(in[c.special_in]);
    for (int i = 0; i < kMaxIn; ++i)
        if (c.halves >> i & 1) round_to_halves(in[i]);
    if (c.in_place && c.op == Op::LinearBackwardEpilogue) replace(0);
    if (c.in_place && c.op == Op::CrossEntropy) replace(1);
}

// The table in core/op.h.
template <class Real>
void Operands<Real>::place() {
    const Params& p = case_.p;
    const int64_t R = p.B * p.T, N = p.N, C = p.C;
    const Slot ids{R, DType::I32}, rows{R}, RC{R * C}, RN{R * N}, NC{N * C}, SC{p.S * C}, qkv{R * 3 * C};
    const Slot wte{N * C, p.type}, wpe{p.S * C, p.position_type}, w = wte;
    const Slot lse{p.B * p.H * p.T}, cache{p.B * p.S * C, p.type}, channels{C}, outputs{N}, stats{2};
    // clang-format off
    switch (case_.op) {
        case Op::Embed:                  return place({ids, ids, wte, wpe}, {RC});
        case Op::EmbedBackward:          return place({RC, ids, ids}, {NC, SC});
        case Op::Norm:                   return place({RC, channels, channels}, {RC, rows, rows});
        case Op::NormBackward:           return place({RC, RC, channels, rows, rows}, {RC});
        case Op::NormBackwardWeight:     return place({RC, RC, rows, rows}, {channels, channels});
        case Op::Linear:                 return place({RC, w, outputs, RN}, {RN, RN});
        case Op::LinearBackwardEpilogue: return place({RN, RN}, {RN});
        case Op::LinearBackward:         return place({RN, NC}, {RC});
        case Op::LinearBackwardWeight:   return place({RN, RC}, {NC, outputs});
        case Op::Attention:              return place({qkv}, {RC, lse});
        case Op::AttentionBackward:      return place({RC, qkv, RC, lse}, {qkv});
        case Op::AttentionCached:        return place({qkv, ids}, {RC, cache, cache});
        case Op::GatherRows:             return place({RC, {N, DType::I32}}, {NC});
        case Op::CrossEntropy:           return place({RN, ids}, {rows, RN, ids});
        case Op::SumSquares:             return place({channels}, {{op_units(case_.op, p), DType::F64}});
        case Op::ClipFactor:             return place({{N, DType::F64}}, {stats});
        case Op::AdamW:                  return place({channels, stats}, {channels, channels, channels});
        case Op::Sgd:                    return place({channels, stats}, {channels, channels});
        case Op::Count:                  break;
    }
    // clang-format on
    CHECK(!"no such op");
}

template <class Real>
void Operands<Real>::place(std::initializer_list<Slot> ins, std::initializer_list<Slot> outs) {
    const auto make = [&](const Slot& slot) {
        return GuardedTensor(slot.type == DType::F32 ? real_type<Real> : slot.type, slot.count, case_.misaligned);
    };
    for (size_t i = 0; i < ins.size(); ++i) {
        if (case_.without_in >> i & 1) continue;
        const Slot& slot = ins.begin()[i];
        in[i] = make(slot);
        if (slot.type == DType::F32)
            fill(in[i], -1, 1);
        else if (can_unpack(slot.type))
            fill_weights(in[i]);
    }
    for (size_t i = 0; i < outs.size(); ++i)
        if (!(case_.without_out >> i & 1)) out[i] = make(outs.begin()[i]);
}

// What random numbers in (-1,1) do not do: indices, consistent statistics, values that an op updates.
template <class Real>
void Operands<Real>::fill() {
    const Params& p = case_.p;
    if (case_.op != Op::AttentionCached)
        for (int i = 0; i < kMaxOut; ++i)
            if (out[i].present() && op_reads_output(call_, i)) fill(out[i], -1, 1);
    switch (case_.op) {
        case Op::Embed: return fill_indices(in[0], p.N), fill_indices(in[1], p.S);
        case Op::EmbedBackward: return fill_indices(in[1], p.N), fill_indices(in[2], p.S);
        case Op::NormBackward: return fill_norm_statistics(in[1], in[3], in[4]);
        case Op::NormBackwardWeight: return fill_norm_statistics(in[1], in[2], in[3]);
        case Op::LinearBackwardEpilogue: return fill(in[1], -4, 4);
        case Op::Attention: return fill(in[0], -2, 2);
        case Op::AttentionBackward: return fill(in[1], -2, 2), fill_attention_result();
        case Op::AttentionCached: return fill_cache();
        case Op::GatherRows: return fill_indices(in[1], p.B * p.T);
        case Op::CrossEntropy: return fill_logits();
        case Op::ClipFactor:
            for (size_t i = 0; i < in[0].count(); ++i) in[0].template as<double>()[i] = random_.uniform(0, 3);
            return;
        case Op::AdamW:
        case Op::Sgd:
            in[1].template as<Real>()[0] = 3, in[1].template as<Real>()[1] = 0.375f;
            return fill(out[2], 0.001f, 1);
        default: return;
    }
}

template <class Real>
void Operands<Real>::fill(GuardedTensor& t, float low, float high) {
    for (size_t i = 0; i < t.count(); ++i) t.template as<Real>()[i] = random_.uniform(low, high);
}

template <class Real>
void Operands<Real>::round_to_halves(GuardedTensor& t) {
    for (size_t i = 0; i < t.count(); ++i) {
        Real& x = t.template as<Real>()[i];
        x = from_f16(to_f16(static_cast<float>(x)));
    }
}

// Values in (-1,1) in the tensor's format. What nothing packs: random levels with half floats of 2^-8 for scales.
template <class Real>
void Operands<Real>::fill_weights(GuardedTensor& t) {
    std::vector<float> values(t.count());
    for (float& value : values) value = random_.uniform();
    if (can_pack(t.type())) return pack(t.type(), values.data(), static_cast<int64_t>(t.count()), t.data());
    const size_t block = static_cast<size_t>(dtype_info(t.type())->block_bytes), halves = t.type() == DType::Q2_K ? 2 : 1;
    for (size_t i = 0; i < t.bytes(); ++i) t.data()[i] = static_cast<std::byte>(random_.bits());
    for (size_t end = block; end <= t.bytes(); end += block)
        for (size_t i = 1; i <= halves; ++i)
            t.data()[end - 2 * i] = std::byte{0}, t.data()[end - 2 * i + 1] = std::byte{0x1C};
}

template <class Real>
void Operands<Real>::fill_indices(GuardedTensor& t, int64_t below) {
    for (size_t i = 0; i < t.count(); ++i)
        t.template as<int32_t>()[i] = static_cast<int32_t>(below > 0 ? random_.below(below) : 0);
}

template <class Real>
void Operands<Real>::fill_norm_statistics(const GuardedTensor& x, GuardedTensor& mean, GuardedTensor& rstd) {
    const int64_t C = case_.p.C;
    for (size_t r = 0; r < mean.count(); ++r) {
        const Real* row = x.template as<Real>() + static_cast<int64_t>(r) * C;
        double sum = 0, squares = 0;
        for (int64_t c = 0; c < C; ++c) sum += row[c];
        for (int64_t c = 0; c < C; ++c) squares += std::pow(row[c] - sum / static_cast<double>(C), 2);
        mean.template as<Real>()[r] = static_cast<Real>(sum / static_cast<double>(C));
        rstd.template as<Real>()[r] = static_cast<Real>(1 / std::sqrt(squares / static_cast<double>(C) + 1e-3));
    }
}

// AttentionBackward: y and lse that belong to qkv.
template <class Real>
void Operands<Real>::fill_attention_result() {
    Call forward = call_;
    forward.in[0] = call_.in[1], forward.out[0] = in[2].data(), forward.out[1] = in[3].data();
    const KernelTable& reference = std::is_same_v<Real, float> ? table : table_double;
    reference.run[static_cast<int>(Op::Attention)](forward, {0, op_units(Op::Attention, case_.p)}, nullptr);
}

// Each sequence goes on somewhere in its cache: what lies before is there, what lies behind is not.
template <class Real>
void Operands<Real>::fill_cache() {
    const Params& p = case_.p;
    const int64_t D = p.C / p.H, rows = call_.rows() / p.B;
    for (int64_t b = 0; b < p.B; ++b) {
        const int64_t start = random_.between(0, p.S - rows);
        for (int64_t t = 0; t < p.T; ++t)
            in[1].template as<int32_t>()[b * p.T + t] = static_cast<int32_t>(t < rows ? start + t : -1);
        for (int64_t h = 0; h < p.H; ++h)
            for (int i = 1; i < 3; ++i)
                for (int64_t j = 0; j < start * D; ++j) {
                    const int64_t at = (b * p.H + h) * p.S * D + j;
                    if (p.type == DType::F16)
                        out[i].template as<uint16_t>()[at] = to_f16(random_.uniform());
                    else
                        out[i].template as<Real>()[at] = random_.uniform();
                }
    }
}

// Large values and, in some cases, equal ones: of several largest the first is predicted. Some targets do not count.
template <class Real>
void Operands<Real>::fill_logits() {
    const bool ties = case_.seed % 3 == 0;
    for (size_t i = 0; i < in[0].count(); ++i) {
        const float x = random_.uniform(-12, 12);
        in[0].template as<Real>()[i] = ties ? std::round(x / 4) * 4 : x;
    }
    fill_indices(in[1], case_.p.N);
    for (size_t r = 0; r < in[1].count(); ++r)
        if (random_.below(5) == 0) in[1].template as<int32_t>()[r] = kIgnore;
}

template <class Real>
void Operands<Real>::fill_special(GuardedTensor& t) {
    const int64_t at = random_.below(static_cast<int64_t>(t.count()));
    if (t.type() == DType::F64) t.template as<double>()[at] = case_.special;
    if (t.type() == DType::F32) t.template as<float>()[at] = case_.special;
}

// In place: the values of in[0] stand in out[i].
template <class Real>
void Operands<Real>::replace(int i) {
    std::memcpy(out[i].data(), in[0].data(), in[0].bytes());
    call_.in[0] = call_.out[i];
}

// ---- runs ------------------------------------------------------------------------------------------------------------

template <class Real>
std::vector<Range> Operands<Real>::cut(const KernelTable& table, Random& random) const {
    const int64_t units = op_units(call_), grain = table.grain ? table.grain(call_) : 1;
    const int64_t sequence = op_units_per_sequence(call_.op, call_.p);
    std::vector<Range> ranges;
    for (int64_t begin = 0; begin < units;) {
        int64_t end = begin / grain * grain + grain * random.between(1, std::max<int64_t>(1, units / grain / 2));
        // A stage by sequence begins at each sequence's first unit, whatever the grain is.
        if (sequence > 0 && call_.step->rows == 0 && random.below(2)) end = (begin / sequence + 1) * sequence;
        end = std::min(end, units);
        ranges.push_back({begin, end});
        begin = end;
    }
    for (size_t i = ranges.size(); i > 1; --i)
        std::swap(ranges[i - 1], ranges[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
    return ranges;
}

template <class Real>
void Operands<Real>::run(const KernelTable& table, const std::vector<Range>& ranges) {
    Call call = call_;
    const auto bytes = [](size_t count) { return GuardedTensor(DType::I8, static_cast<int64_t>(count), false); };
    GuardedTensor scratch = bytes(table.scratch_bytes ? table.scratch_bytes(call) : 0);
    GuardedTensor packed = bytes(table.packed_bytes ? table.packed_bytes(call) : 0);
    const auto close = [&](bool closed) {
        for (GuardedTensor& t : in) t.close(closed);
        for (GuardedTensor& t : out) t.close(closed);
        scratch.close(closed);
        packed.close(closed);
    };
    close(true);
    if (packed.count() > 0) {
        call.packed = packed.data();
        const int64_t units = table.pack_units(call), parts = case_.seed % 2 ? 1 : std::min<int64_t>(3, units);
        for (int64_t i = 0; i < parts; ++i) table.pack(call, {units * i / parts, units * (i + 1) / parts}, packed.data());
    }
    if (table.prepare) table.prepare(call, scratch.data());
    for (const Range& range : ranges) table.run[static_cast<size_t>(call.op)](call, range, scratch.data());
    close(false);
    if (!scratch.guards_intact()) overrun_ = "scratch";
    if (!packed.guards_intact()) overrun_ = "packed";
    for (int i = 0; i < kMaxIn; ++i)
        if (in[i].present() && !in[i].guards_intact()) overrun_ = strprintf("in[%d]", i);
    for (int i = 0; i < kMaxOut; ++i)
        if (out[i].present() && !out[i].guards_intact()) overrun_ = strprintf("out[%d]", i);
}

template <class Real>
void Operands<Real>::run(const KernelTable& table) {
    run(table, {
                   {0, op_units(call_)}
    });
}

template class Operands<float>;
template class Operands<double>;

}  // namespace nib::check
