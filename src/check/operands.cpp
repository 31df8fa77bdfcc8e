#include "check/operands.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>

#include "core/error.h"
#include "quant/quantize.h"
#include "ref/kernels.h"

namespace nib::check {
namespace {

template <class Real>
constexpr DType real_type = std::is_same_v<Real, float> ? DType::F32 : DType::F64;

struct Interval {
    float low = -1, high = 1;
};

// The interval of an operand's random numbers, mostly (-1, 1).
Interval interval(Op op, int operand) {
    const Operand& about = op_info(op).operands[operand];
    const std::string_view name = about.name;
    if (name == "v" && (op == Op::AdamW || op == Op::Adagrad)) return {0.001f, 1};  // squares
    if (about.types == Types::F64) return {0, 3};                                   // sums of squares
    if (name == "logits") return {-12, 12};
    if (name == "pre" || name == "gate") return {-4, 4};  // where activation functions curve
    return about.slice ? Interval{-2, 2} : Interval{};    // so that attention weights differ clearly
}

// Rows of an operand, and how many of them are in use; an operand that has no rows counts as one.
struct Rows {
    int64_t all = 1, live = 1;
};
Rows rows_of(const Call& call, const Operand& about) {
    const Params& p = call.p;
    if (about.dims.starts_with("B,T")) return {p.B * p.T, call.rows()};
    if (about.dims.starts_with("B,S")) return {p.B * p.S, call.key_rows()};
    if (about.dims.starts_with("1,N") || about.counts() == 'R') return {p.N, call.gathered_rows()};
    return {};
}

// Elements from row to row of a slice: all slices of the inputs (or outputs) side by side, and some more.
int64_t slice_stride(const OpCase& c, int operand) {
    int64_t stride = 4;
    const bool output = operand >= kMaxIn;
    for (const Operand& other : output ? op_info(c.op).outputs() : op_info(c.op).inputs())
        if (other.slice) stride += dimension(c.p, other.shape().back());
    return stride;
}

}  // namespace

template <class Real>
Operands<Real>::Operands(const OpCase& c) : case_(c) {
    call_.op = c.op;
    call_.p = c.p;
    call_.accumulate = c.accumulate;
    call_.row_count = c.row_count;
    call_.key_row_count = c.key_row_count;
    call_.step = &case_.step;
    place();
    fill();
    if (c.special_in >= 0 && c.has(c.special_in)) fill_special((*this)[c.special_in]);
    for (int i = 0; i < kMaxIn; ++i)
        if (c.has(i) && c.is_f16_activation(i))
            for (size_t j = 0; j < (*this)[i].count(); ++j) {
                Real& x = (*this)[i].template at<Real>(j);
                x = quant::from_f16(quant::to_f16(static_cast<float>(x)));
            }
    for (int i = 0; i < kMaxOperands; ++i)
        if (c.has(i)) poison_unused_rows(i);
    if (const OpCase::Replaced replaced = c.replaced(); replaced.output >= 0) {
        const GuardedTensor& input = (*this)[replaced.input];
        std::memcpy((*this)[replaced.output].data(), input.data(), input.bytes());
        call_.data[replaced.input] = call_.data[replaced.output];
    }
}

template <class Real>
void Operands<Real>::place() {
    for (int i = 0; i < kMaxOperands; ++i) {
        if (!case_.has(i)) continue;
        const Operand& about = op_info(case_.op).operands[i];
        const int64_t count = operand_elements(case_.p, about);
        const DType type = case_.is_f16_activation(i) ? DType::F32 : case_.type(i);
        const DType stored = type == DType::F32 ? real_type<Real> : type;
        if (case_.sliced && about.slice) {
            const int64_t width = dimension(case_.p, about.shape().back());
            call_.stride[i] = slice_stride(case_, i);
            (*this)[i] = GuardedTensor(stored, count / width, width, call_.stride[i], case_.misaligned);
        } else {
            (*this)[i] = GuardedTensor(stored, count, case_.misaligned);
        }
        call_.type[i] = type;
        call_.data[i] = (*this)[i].data();
    }
}

template <class Real>
void Operands<Real>::fill() {
    for (int i = 0; i < kMaxOperands; ++i)
        if (case_.has(i) && (i < kMaxIn || op_reads_output(call_, i))) fill_operand(i);
    fill_dependent();
}

template <class Real>
void Operands<Real>::fill_operand(int operand) {
    const Operand& about = op_info(case_.op).operands[operand];
    GuardedTensor& t = (*this)[operand];
    const auto [low, high] = interval(case_.op, operand);
    if (is_index(about.types)) {
        const int64_t below = about.counts() == 'R' ? call_.rows() : dimension(case_.p, about.counts());
        for (size_t i = 0; i < t.count(); ++i) t.template at<int32_t>(i) = static_cast<int32_t>(random_.below(below));
    } else if (about.types == Types::F64) {
        for (size_t i = 0; i < t.count(); ++i) t.template at<double>(i) = random_.uniform(low, high);
    } else if (t.type() == real_type<Real>) {
        for (size_t i = 0; i < t.count(); ++i) t.template at<Real>(i) = random_.uniform(low, high);
    } else {
        fill_weights(t);
    }
}

// Values in (-1,1) in the tensor's format. Types that cannot be packed get random levels and scales of 2^-8.
template <class Real>
void Operands<Real>::fill_weights(GuardedTensor& t) {
    std::vector<float> values(t.count());
    for (float& value : values) value = random_.uniform();
    if (quant::can_pack(t.type())) return quant::pack(t.type(), values.data(), static_cast<int64_t>(t.count()), t.data());
    const size_t block = static_cast<size_t>(dtype_info(t.type())->block_bytes), scales = t.type() == DType::Q2_K ? 2 : 1;
    for (size_t i = 0; i < t.bytes(); ++i) t.data()[i] = static_cast<std::byte>(random_.bits());
    for (size_t end = block; end <= t.bytes(); end += block)
        for (size_t i = 1; i <= scales; ++i)
            t.data()[end - 2 * i] = std::byte{0}, t.data()[end - 2 * i + 1] = std::byte{0x1C};
}

// ---- values that depend on each other -------------------------------------------------------------------------------

template <class Real>
void Operands<Real>::fill_dependent() {
    switch (case_.op) {
        case Op::NormBackward:
        case Op::NormBackwardWeight: return fill_norm_statistics();
        case Op::Attention: return fill_spans();
        case Op::AttentionBackward: return fill_spans(), fill_attention_result();
        case Op::CacheStore: return fill_positions();
        case Op::AttentionCached: return fill_cache();
        case Op::CrossEntropy:
        case Op::LogProbBackward: return fill_logits();
        case Op::MeanRows:
        case Op::MeanRowsBackward: return fill_texts();
        case Op::SpanLoss: return fill_texts(), fill_answers();
        case Op::Normalize:
        case Op::NormalizeBackward: return fill_lengths();
        case Op::ValueLoss: return fill_values();
        case Op::PolicyLoss: return fill_policy();
        case Op::PreferenceLoss: return fill_pairs();
        case Op::AdamW:
        case Op::Sgd:
        case Op::Adagrad: named("stats").template at<Real>(0) = 3, named("stats").template at<Real>(1) = 0.375f; return;
        default: return;
    }
}

template <class Real>
void Operands<Real>::fill_norm_statistics() {
    const auto C = static_cast<size_t>(case_.p.C);
    GuardedTensor &mean = named("mean"), &rstd = named("rstd");
    for (size_t r = 0; r < rstd.count(); ++r) {
        const Real* row = named("x").template as<Real>() + r * C;
        const double m = mean.present() ? std::accumulate(row, row + C, 0.0) / static_cast<double>(C) : 0;
        double squares = 0;
        for (size_t c = 0; c < C; ++c) squares += (row[c] - m) * (row[c] - m);
        if (mean.present()) mean.template at<Real>(r) = static_cast<Real>(m);
        rstd.template at<Real>(r) = static_cast<Real>(1 / std::sqrt(squares / static_cast<double>(C) + 1e-3));
    }
}

// Either packed documents, some of them short, where each query sees the keys of its own document, or intervals that
// advance by random steps. Some queries see no key, and some keys are seen by no query.
template <class Real>
void Operands<Real>::fill_spans() {
    GuardedTensor& spans = named("spans");
    if (!spans.present()) return;
    const Params& p = case_.p;
    const int64_t keys = p.B == 1 ? call_.key_rows() : p.S;
    const bool documents = case_.seed % 2 == 0;
    for (int64_t b = 0; b < p.B; ++b)
        for (int64_t t = 0, begin = 0, end = 0, next = 0; t < p.T; ++t) {
            if (documents && t == next) {
                const int64_t length = random_.between(1, case_.seed % 4 == 0 ? std::min<int64_t>(p.T, 20) : p.T);
                next = t + length;
                begin = end;
                end = std::min(keys, begin + (p.S == p.T ? length : random_.between(0, 2 * length)));
            } else if (!documents) {
                end = std::min(keys, end + random_.below(2 * keys / p.T + 2));
                begin = std::min(end, begin + random_.below(2 * keys / p.T + 2));
            }
            auto* span = spans.template as<int32_t>() + 2 * (b * p.T + t);
            span[0] = static_cast<int32_t>(begin), span[1] = static_cast<int32_t>(end);
        }
}

// AttentionBackward: y and lse that belong to q, k and v.
template <class Real>
void Operands<Real>::fill_attention_result() {
    Call forward;
    forward.op = Op::Attention;
    forward.p = call_.p;
    forward.step = call_.step;
    forward.row_count = call_.row_count, forward.key_row_count = call_.key_row_count;
    for (int i = 0; i < kMaxOperands; ++i) {
        const Operand& about = op_info(Op::Attention).operands[i];
        const int here = about ? op_info(case_.op).find(about.name) : -1;
        if (here < 0 || !case_.has(here)) continue;
        if (i >= kMaxIn) (*this)[here].poison(0, (*this)[here].count());
        forward.data[i] = call_.data[here];
        forward.type[i] = call_.type[here];
        forward.stride[i] = call_.stride[here];
    }
    const KernelTable& reference = std::is_same_v<Real, float> ? ref::table : ref::table_double;
    reference.run[static_cast<int>(Op::Attention)](forward, {0, op_units(forward)}, nullptr);
}

// A slot and position for each row, all different: runs of rows of one slot, as in prompts, or rows of many slots, as in
// decoding. Positions within a slot are consecutive.
template <class Real>
std::vector<int64_t> Operands<Real>::fill_slots() {
    const Params& p = case_.p;
    GuardedTensor& slots = named("slots");
    std::vector<int64_t> positions;
    const auto rows = static_cast<int64_t>(slots.count());
    CHECK(rows <= p.N * p.S);
    const bool runs = case_.seed % 2 == 0;
    std::vector<int64_t> number(static_cast<size_t>(p.N));  // rows of each slot
    int64_t slot = random_.below(p.N), length = 0;
    for (int64_t r = 0; r < rows; ++r, --length) {
        if (!runs || length == 0) {
            slot = random_.below(p.N);
            length = random_.between(1, rows);
        }
        while (number[static_cast<size_t>(slot)] == p.S) slot = (slot + 1) % p.N;
        slots.template at<int32_t>(static_cast<size_t>(r)) = static_cast<int32_t>(slot);
        positions.push_back(number[static_cast<size_t>(slot)]++);
    }
    for (int64_t& n : number) n = random_.between(0, p.S - n);  // now the first position of each slot
    for (size_t r = 0; r < positions.size(); ++r)
        positions[r] += number[static_cast<size_t>(slots.template at<int32_t>(r))];
    return positions;
}

template <class Real>
void Operands<Real>::fill_positions() {
    const std::vector<int64_t> positions = fill_slots();
    for (size_t r = 0; r < positions.size(); ++r)
        named("positions").template at<int32_t>(r) = static_cast<int32_t>(positions[r]);
}

// A row sees its slot up to itself, or any part of the slot, or nothing. Cache rows that no row sees stay NaN.
template <class Real>
void Operands<Real>::fill_cache() {
    const Params& p = case_.p;
    const std::vector<int64_t> positions = fill_slots();
    GuardedTensor &slots = named("slots"), &spans = named("spans");
    std::vector<bool> seen(static_cast<size_t>(p.N * p.S));
    for (size_t r = 0; r < positions.size(); ++r) {
        Range span{0, positions[r] + 1};
        if (random_.below(4) == 0) span.begin = random_.between(0, span.end);
        if (case_.seed % 3 == 0) span.end = random_.between(span.begin, p.S);
        spans.template at<int32_t>(2 * r) = static_cast<int32_t>(span.begin);
        spans.template at<int32_t>(2 * r + 1) = static_cast<int32_t>(span.end);
        if (static_cast<int64_t>(r) >= call_.rows()) continue;
        const int64_t first = slots.template at<int32_t>(r) * p.S;
        std::fill(seen.begin() + first + span.begin, seen.begin() + first + span.end, true);
    }
    const auto D = static_cast<size_t>(p.D);
    for (const char* cache : {"keys", "values"})
        for (int64_t row = 0; row < p.N * p.G * p.S; ++row) {
            const int64_t slot = row / (p.G * p.S), first = row * p.D;
            if (!seen[static_cast<size_t>(slot * p.S + row % p.S)])
                named(cache).poison(static_cast<size_t>(first), static_cast<size_t>(first) + D);
        }
}

// Some cases have ties: the first of the largest logits is predicted. Some targets do not count.
template <class Real>
void Operands<Real>::fill_logits() {
    GuardedTensor &logits = named("logits"), &targets = named("targets");
    for (size_t i = 0; case_.seed % 3 == 0 && i < logits.count(); ++i) {
        Real& x = logits.template at<Real>(i);
        x = std::round(x / 4) * 4;
    }
    for (size_t r = 0; r < targets.count(); ++r)
        if (random_.below(5) == 0) targets.template at<int32_t>(r) = kIgnore;
}

// Texts of any length, also none, with rows between them that are of no text.
template <class Real>
void Operands<Real>::fill_texts() {
    GuardedTensor& texts = named("texts");
    const int64_t N = case_.p.N, rows = call_.rows(), longest = 2 * rows / N + 1;
    for (int64_t n = 0, at = 0; n < N; ++n) {
        const int64_t first = std::min(rows, at + random_.below(3)),
                      end = std::min(rows, first + random_.between(0, longest));
        texts.template at<int32_t>(static_cast<size_t>(2 * n)) = static_cast<int32_t>(first);
        texts.template at<int32_t>(static_cast<size_t>(2 * n + 1)) = static_cast<int32_t>(end);
        at = end;
    }
}

// Most answers are in their texts. Some stay anywhere; some are none.
template <class Real>
void Operands<Real>::fill_answers() {
    GuardedTensor &texts = named("texts"), &targets = named("targets");
    for (size_t i = 0; i < targets.count(); ++i) {
        const int32_t first = texts.template at<int32_t>(i / 2 * 2), end = texts.template at<int32_t>(i / 2 * 2 + 1);
        const int64_t choice = random_.below(8);
        if (choice > 1 && first < end)
            targets.template at<int32_t>(i) = static_cast<int32_t>(random_.between(first, end - 1));
        if (choice == 1) targets.template at<int32_t>(i) = kIgnore;
    }
}

// Of length 1 and more, so that gradients are not large; in some cases some rows are shorter than eps.
template <class Real>
void Operands<Real>::fill_lengths() {
    GuardedTensor& x = named("x");
    const auto C = static_cast<size_t>(case_.p.C);
    const float short_factor = case_.p.eps / (2 * std::sqrt(static_cast<float>(C)));
    for (size_t r = 0; r < x.count() / C; ++r) {
        Real* row = x.template as<Real>() + r * C;
        row[0] += row[0] < 0 ? -1 : 1;
        const float factor = case_.seed % 2 == 0 && random_.below(4) == 0 ? short_factor : 1;
        for (size_t c = 0; c < C; ++c) row[c] *= factor;
    }
}

// Whether a loss bends so close to x that rounding may put it on the other side.
bool bends_near(double x, double at) { return std::abs(x - at) < 1e-3; }

// Numbers in which the exponential matters, old ones that are near some of them, and some rows that do not count.
template <class Real>
void Operands<Real>::fill_values() {
    GuardedTensor &values = named("values"), &targets = named("targets"), &old = named("old");
    for (size_t i = 0; i < values.count(); ++i) values.template at<Real>(i) *= 8;
    for (size_t i = 0; i < old.count(); ++i) {
        const double v = values.template at<Real>(i), t = targets.template at<Real>(i);
        Real& o = old.template at<Real>(i) += static_cast<Real>(v);
        const double low = o - static_cast<double>(case_.p.clip_low), high = o + static_cast<double>(case_.p.clip_high);
        const double held = std::clamp(v, low, high);
        if (bends_near(v, low) || bends_near(v, high) || bends_near(v + held, 2 * t)) o = static_cast<Real>(v);
    }
    const auto N = static_cast<size_t>(case_.p.N);
    for (size_t r = 0; r < targets.count() / N; ++r)
        if (random_.below(5) == 0) targets.template at<Real>(r * N) = static_cast<Real>(NAN);
}

// Ratios of which many are clipped and many are not, and some rows that do not count, whatever they hold.
template <class Real>
void Operands<Real>::fill_policy() {
    GuardedTensor &logp = named("logp"), &old = named("old"), &weights = named("weights");
    for (size_t r = 0; r < old.count(); ++r) {
        Real &l = logp.template at<Real>(r), &o = old.template at<Real>(r);
        if (random_.below(2) == 0) o = l + o / 8;
        const double ratio = std::exp(static_cast<double>(l) - static_cast<double>(o));
        const double low = 1 - static_cast<double>(case_.p.clip_low), high = 1 + static_cast<double>(case_.p.clip_high);
        if (bends_near(ratio, low) || bends_near(ratio, high)) o = l;
    }
    for (size_t r = 0; r < weights.count(); ++r) {
        if (random_.below(5) != 0) continue;
        weights.template at<Real>(r) = 0;
        for (int i = 0; i < kMaxIn; ++i)
            if (case_.has(i) && &(*this)[i] != &weights)
                (*this)[i].template at<Real>(r) =
                    static_cast<Real>(std::array{0.5f, NAN, INFINITY}[static_cast<size_t>(random_.below(3))]);
    }
}

// Margins of a few units, and some pairs that do not count.
template <class Real>
void Operands<Real>::fill_pairs() {
    GuardedTensor &scores = named("scores"), &scales = named("scales"), &offsets = named("offsets");
    for (size_t i = 0; i < scores.count(); i += 2) {
        const auto gain = [&](size_t k) {
            return static_cast<double>(scales.template at<Real>(k)) * static_cast<double>(scores.template at<Real>(k)) -
                   static_cast<double>(offsets.template at<Real>(k));
        };
        scores.template at<Real>(i) *= 4;
        if (bends_near(static_cast<double>(case_.p.beta) * (gain(i) - gain(i + 1)), 1)) offsets.template at<Real>(i) += 1;
        if (random_.below(5) != 0) continue;
        offsets.template at<Real>(i) = static_cast<Real>(NAN);
        scores.template at<Real>(i) = static_cast<Real>(random_.below(2) ? NAN : 0.5f);
    }
}

template <class Real>
void Operands<Real>::fill_special(GuardedTensor& t) {
    const auto at = static_cast<size_t>(random_.below(static_cast<int64_t>(t.count())));
    if (t.type() == DType::F64) t.template at<double>(at) = case_.special;
    if (t.type() == DType::F32) t.template at<float>(at) = case_.special;
}

template <class Real>
void Operands<Real>::poison_unused_rows(int operand) {
    GuardedTensor& t = (*this)[operand];
    const Rows rows = rows_of(call_, op_info(case_.op).operands[operand]);
    if (rows.live < rows.all)
        t.poison(t.count() / static_cast<size_t>(rows.all) * static_cast<size_t>(rows.live), t.count());
}

// ---- runs ------------------------------------------------------------------------------------------------------------

template <class Real>
std::vector<Range> Operands<Real>::cut(const KernelTable& table, Random& random) const {
    const int64_t units = op_units(call_), grain = table.grain ? table.grain(call_) : 1;
    const int64_t sequence = op_units_per_sequence(call_.op, call_.p);
    std::vector<Range> ranges;
    for (int64_t begin = 0; begin < units;) {
        int64_t end = begin / grain * grain + grain * random.between(1, std::max<int64_t>(1, units / grain / 2));
        // A stage by sequence starts at each sequence's first unit, whatever the grain.
        if (sequence > 0 && call_.row_count < 0 && random.below(2)) end = (begin / sequence + 1) * sequence;
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
    const auto lock_guards = [&](bool locked) {
        for (GuardedTensor& t : tensors_) t.lock_guards(locked);
        scratch.lock_guards(locked);
        packed.lock_guards(locked);
    };
    lock_guards(true);
    if (packed.count() > 0) {
        call.packed = packed.data();
        const int64_t units = table.pack_units(call), parts = case_.seed % 2 ? 1 : std::min<int64_t>(3, units);
        for (int64_t i = 0; i < parts; ++i) table.pack(call, {units * i / parts, units * (i + 1) / parts}, packed.data());
    }
    if (table.prepare) table.prepare(call, scratch.data());
    for (const Range& range : ranges) table.run[static_cast<size_t>(call.op)](call, range, scratch.data());
    lock_guards(false);
    if (!scratch.guards_intact()) overrun_ = "scratch";
    if (!packed.guards_intact()) overrun_ = "packed";
    for (int i = 0; i < kMaxOperands; ++i)
        if (case_.has(i) && !(*this)[i].guards_intact()) overrun_ = op_info(case_.op).operands[i].name;
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
