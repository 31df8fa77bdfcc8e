// Calls of single ops for tests: one function knows the tensors of every op, fills them and guards them; a case of an op is
// run with any kernel table, in any ranges, and compared with the same case run with another table.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/ops.h"
#include "core/philox.h"
#include "ref/kernels.h"

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

namespace nib::test {

/// Numbers that depend on the seed alone, the same with every compiler and library.
class Random {
public:
    explicit Random(uint64_t seed) : seed_(seed) {}
    uint32_t bits() {
        if (count_ % 4 == 0) block_ = philox({count_ / 4, 0, 0, 0}, seed_);
        return block_[count_++ % 4];
    }
    int64_t below(int64_t n) { return static_cast<int64_t>(uint64_t{bits()} * static_cast<uint64_t>(n) >> 32); }
    int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
    /// In (low, high), and exactly a float.
    float uniform(float low = -1, float high = 1) {
        return low + (high - low) * (static_cast<float>(bits() >> 8) + 0.5f) * 0x1p-24f;
    }

private:
    uint64_t seed_;
    uint32_t count_ = 0;
    std::array<uint32_t, 4> block_{};
};

/// One op, its dimensions and what else its kernel may be asked to do.
struct OpCase {
    Op op = Op::Count;
    Params p;
    Step step;
    uint8_t accumulate = 0;
    unsigned without_in = 0, without_out = 0;  // bit i: optional tensor i is absent
    bool in_place = false;                     // LinearBackwardEpilogue, CrossEntropy: the gradient replaces its input
    bool misaligned = false;                   // tensors begin one element after an aligned address
    uint64_t seed = 1;                         // of the values

    std::string text() const {
        const auto n = [](int64_t i) { return std::to_string(i); };
        return std::string(op_name(op)) + " B " + n(p.B) + " T " + n(p.T) + " C " + n(p.C) + " N " + n(p.N) + " H " +
               n(p.H) + " S " + n(p.S) + " act " + n(static_cast<int>(p.act)) + " dropout " + n(p.dropout) + "/65536" +
               (p.by_columns ? " by columns" : "") + (p.decay ? " decay" : "") + " accumulate " + n(accumulate) +
               (step.accumulate ? " (and step)" : "") + " without in " + n(without_in) + " out " + n(without_out) +
               (in_place ? " in place" : "") + (misaligned ? " misaligned" : "") + " rows " + n(step.rows);
    }
};

/// A tensor between guard zones. Everything starts as a NaN of one pattern, so that reading too far shows in the result,
/// and writing too far in the guards; AddressSanitizer sees both.
class GuardedTensor {
public:
    enum class Type { Real, Int, Double };
    GuardedTensor() = default;
    GuardedTensor(size_t element, int64_t count, bool misaligned)
        : element_(element), count_(static_cast<size_t>(count)), memory_(2 * kGuard + count_ * element + 128) {
        std::fill(memory_.begin(), memory_.end(), kPattern);
        const size_t start = reinterpret_cast<uintptr_t>(memory_.data()) % 64;
        begin_ = kGuard + (64 - start) % 64 + (misaligned ? element : 0);
    }
    GuardedTensor(GuardedTensor&&) = default;
    GuardedTensor& operator=(GuardedTensor&&) = default;

    bool present() const { return !memory_.empty(); }
    size_t count() const { return count_; }
    size_t bytes() const { return count_ * element_; }
    std::byte* data() { return memory_.data() + begin_; }
    const std::byte* data() const { return memory_.data() + begin_; }
    template <class T>
    T* as() {
        return reinterpret_cast<T*>(data());
    }
    template <class T>
    const T* as() const {
        return reinterpret_cast<const T*>(data());
    }
    /// While a kernel runs, AddressSanitizer refuses access to the guards.
    void close(bool closed) {
        if (!present()) return;
        std::byte* const end = memory_.data() + memory_.size();
        if (closed) {
            ASAN_POISON_MEMORY_REGION(memory_.data(), begin_);
            ASAN_POISON_MEMORY_REGION(data() + bytes(), static_cast<size_t>(end - data()) - bytes());
        } else {
            ASAN_UNPOISON_MEMORY_REGION(memory_.data(), memory_.size());
        }
    }
    bool guards_intact() const {
        const auto untouched = [](std::byte b) { return b == kPattern; };
        const auto end = memory_.begin() + static_cast<std::ptrdiff_t>(begin_ + bytes());
        return std::all_of(memory_.begin(), memory_.begin() + static_cast<std::ptrdiff_t>(begin_), untouched) &&
               std::all_of(end, memory_.end(), untouched);
    }
    static constexpr std::byte kPattern{0xFF};  // a NaN in float and double, -1 in int32

private:
    static constexpr size_t kGuard = 256;
    size_t element_ = 0, count_ = 0, begin_ = 0;
    std::vector<std::byte> memory_;
};

/// The tensors of a case, with values that depend on the case alone, for kernels on Real = float or double.
template <class Real>
class Operands {
public:
    explicit Operands(const OpCase& c) : case_(c) {
        call_.op = c.op;
        call_.p = c.p;
        call_.accumulate = c.accumulate;
        call_.step = &case_.step;
        build();
        for (int i = 0; i < kMaxIn; ++i)
            if (in[i].present()) call_.in[i] = in[i].data();
        for (int i = 0; i < kMaxOut; ++i)
            if (out[i].present()) call_.out[i] = out[i].data();
        if (c.in_place && c.op == Op::LinearBackwardEpilogue) call_.in[0] = call_.out[0];
        if (c.in_place && c.op == Op::CrossEntropy) call_.in[0] = call_.out[1];
        prepare();
    }
    Operands(const Operands&) = delete;
    Operands& operator=(const Operands&) = delete;

    const OpCase& description() const { return case_; }
    const Call& call() const { return call_; }
    GuardedTensor in[kMaxIn], out[kMaxOut];
    GuardedTensor::Type out_type[kMaxOut] = {};

    /// Runs the ranges one after the other, as the executor would.
    void run(const KernelTable& table, const std::vector<Range>& ranges) {
        Call call = call_;
        GuardedTensor scratch(1, static_cast<int64_t>(table.scratch_bytes ? table.scratch_bytes(call) : 0), false);
        const size_t packed_bytes = table.packed_bytes ? table.packed_bytes(call) : 0;
        GuardedTensor packed(1, static_cast<int64_t>(packed_bytes), false);
        const auto close = [&](bool closed) {
            for (GuardedTensor& t : in) t.close(closed);
            for (GuardedTensor& t : out) t.close(closed);
            scratch.close(closed);
            packed.close(closed);
        };
        close(true);
        if (packed_bytes > 0) {
            call.packed = packed.data();
            const int64_t units = table.pack_units(call), parts = case_.seed % 2 ? 1 : std::min<int64_t>(3, units);
            for (int64_t i = 0; i < parts; ++i)
                table.pack(call, {units * i / parts, units * (i + 1) / parts}, packed.data());
        }
        for (const Range& range : ranges) table.run[static_cast<size_t>(call.op)](call, range, scratch.data());
        close(false);
        EXPECT_TRUE(scratch.guards_intact()) << "scratch overrun: " << case_.text();
        EXPECT_TRUE(packed.guards_intact()) << "packed overrun: " << case_.text();
        for (int i = 0; i < kMaxIn; ++i)
            EXPECT_TRUE(!in[i].present() || in[i].guards_intact()) << "in[" << i << "]: " << case_.text();
        for (int i = 0; i < kMaxOut; ++i)
            EXPECT_TRUE(!out[i].present() || out[i].guards_intact()) << "out[" << i << "]: " << case_.text();
    }
    /// Units of this call; fewer than the op has when the step has fewer rows.
    int64_t units() const {
        const int64_t all = op_units(call_.op, call_.p);
        return op_by_rows(call_.op, call_.p) ? std::min(all, call_.rows()) : all;
    }
    void run(const KernelTable& table) {
        run(table, {
                       {0, units()}
        });
    }

private:
    using Type = GuardedTensor::Type;

    void build() {
        const Params& p = case_.p;
        const int64_t R = p.B * p.T, C = p.C, N = p.N;
        switch (case_.op) {
            case Op::Embed:
                input(0, Type::Int, R), input(1, Type::Int, R), input(2, Type::Real, N * C), input(3, Type::Real, p.S * C);
                return output(0, Type::Real, R * C);
            case Op::EmbedBackward:
                input(0, Type::Real, R * C), input(1, Type::Int, R), input(2, Type::Int, R);
                return output(0, Type::Real, N * C), output(1, Type::Real, p.S * C);
            case Op::Norm:
                input(0, Type::Real, R * C), input(1, Type::Real, C), input(2, Type::Real, C);
                return output(0, Type::Real, R * C), output(1, Type::Real, R), output(2, Type::Real, R);
            case Op::NormBackward:
                input(0, Type::Real, R * C), input(1, Type::Real, R * C), input(2, Type::Real, C);
                input(3, Type::Real, R), input(4, Type::Real, R);
                return output(0, Type::Real, R * C);
            case Op::NormBackwardWeight:
                input(0, Type::Real, R * C), input(1, Type::Real, R * C), input(2, Type::Real, R), input(3, Type::Real, R);
                return output(0, Type::Real, C), output(1, Type::Real, C);
            case Op::Linear:
                input(0, Type::Real, R * C), input(1, Type::Real, N * C), input(2, Type::Real, N);
                input(3, Type::Real, R * N);
                return output(0, Type::Real, R * N), output(1, Type::Real, R * N);
            case Op::LinearBackwardEpilogue:
                input(0, Type::Real, R * N), input(1, Type::Real, R * N);
                return output(0, Type::Real, R * N);
            case Op::LinearBackward:
                input(0, Type::Real, R * N), input(1, Type::Real, N * C);
                return output(0, Type::Real, R * C);
            case Op::LinearBackwardWeight:
                input(0, Type::Real, R * N), input(1, Type::Real, R * C);
                return output(0, Type::Real, N * C), output(1, Type::Real, N);
            case Op::Attention:
                input(0, Type::Real, R * 3 * C);
                return output(0, Type::Real, R * C), output(1, Type::Real, p.B * p.H * p.T);
            case Op::AttentionBackward:
                input(0, Type::Real, R * C), input(1, Type::Real, R * 3 * C), input(2, Type::Real, R * C);
                input(3, Type::Real, p.B * p.H * p.T);
                return output(0, Type::Real, R * 3 * C);
            case Op::AttentionCached:
                input(0, Type::Real, R * 3 * C), input(1, Type::Int, R);
                output(0, Type::Real, R * C);
                return output(1, Type::Real, p.B * p.S * C), output(2, Type::Real, p.B * p.S * C);
            case Op::GatherRows: input(0, Type::Real, R * C), input(1, Type::Int, N); return output(0, Type::Real, N * C);
            case Op::CrossEntropy:
                input(0, Type::Real, R * N), input(1, Type::Int, R);
                return output(0, Type::Real, R), output(1, Type::Real, R * N), output(2, Type::Int, R);
            case Op::SumSquares: input(0, Type::Real, C); return output(0, Type::Double, op_units(case_.op, p));
            case Op::ClipFactor: input(0, Type::Double, N); return output(0, Type::Real, 2);
            case Op::AdamW:
                input(0, Type::Real, C), input(1, Type::Real, 2);
                return output(0, Type::Real, C), output(1, Type::Real, C), output(2, Type::Real, C);
            case Op::Sgd:
                input(0, Type::Real, C), input(1, Type::Real, 2);
                return output(0, Type::Real, C), output(1, Type::Real, C);
            default: FAIL() << "no tensors for op " << static_cast<int>(case_.op);
        }
    }

    // What random numbers in (-1,1) do not do: indices, consistent statistics, values that an op updates.
    void prepare() {
        const Params& p = case_.p;
        for (int i = 0; i < kMaxOut; ++i)
            if (out[i].present() && (call_.adds(i) || (op_is_weight_gradient(case_.op) && case_.step.accumulate)))
                fill(out[i], -1, 1);
        switch (case_.op) {
            case Op::Embed: return indices(in[0], p.N), indices(in[1], p.S);
            case Op::EmbedBackward: return indices(in[1], p.N), indices(in[2], p.S);
            case Op::NormBackward: return norm_statistics(in[1], in[3], in[4]);
            case Op::NormBackwardWeight: return norm_statistics(in[1], in[2], in[3]);
            case Op::LinearBackwardEpilogue: fill(in[1], -4, 4); return replace(0);
            case Op::Linear: return;
            case Op::Attention: return fill(in[0], -2, 2);
            case Op::AttentionBackward: {
                fill(in[1], -2, 2);
                Call forward = call_;
                forward.in[0] = call_.in[1], forward.out[0] = in[2].data(), forward.out[1] = in[3].data();
                constexpr bool kFloat = std::is_same_v<Real, float>;
                return (kFloat ? ref::table : ref::table_double)
                    .run[static_cast<int>(Op::Attention)](forward, {0, p.B * p.H}, nullptr);
            }
            case Op::AttentionCached: {
                // Each sequence goes on somewhere in its cache: what lies before is there, what lies behind is not.
                const int64_t D = p.C / p.H, rows = call_.rows() / p.B;
                for (int64_t b = 0; b < p.B; ++b) {
                    const int64_t start = random_.between(0, p.S - rows);
                    for (int64_t t = 0; t < p.T; ++t)
                        in[1].template as<int32_t>()[b * p.T + t] = static_cast<int32_t>(t < rows ? start + t : -1);
                    for (int64_t h = 0; h < p.H; ++h)
                        for (int i = 1; i < 3; ++i)
                            for (int64_t j = 0; j < start * D; ++j)
                                out[i].template as<Real>()[(b * p.H + h) * p.S * D + j] = random_.uniform();
                }
                return;
            }
            case Op::GatherRows: return indices(in[1], p.B * p.T);
            case Op::CrossEntropy: {
                // Large values and, in some cases, equal ones: of several largest the first is predicted.
                const bool ties = case_.seed % 3 == 0;
                for (size_t i = 0; i < in[0].count(); ++i) {
                    const float x = random_.uniform(-12, 12);
                    in[0].template as<Real>()[i] = ties ? std::round(x / 4) * 4 : x;
                }
                indices(in[1], p.N);
                for (size_t r = 0; r < in[1].count(); ++r)
                    if (random_.below(5) == 0) in[1].template as<int32_t>()[r] = kIgnore;
                return replace(1);
            }
            case Op::ClipFactor:
                for (size_t i = 0; i < in[0].count(); ++i) in[0].template as<double>()[i] = random_.uniform(0, 3);
                return;
            case Op::AdamW:
            case Op::Sgd:
                in[1].template as<Real>()[0] = 3, in[1].template as<Real>()[1] = 0.375f;
                fill(out[0], -1, 1), fill(out[1], -1, 1);
                return fill(out[2], 0.001f, 1);
            default: return;
        }
    }

    void input(int i, Type type, int64_t count) {
        if (case_.without_in >> i & 1) return;
        in[i] = make(type, count);
        if (type == Type::Real) fill(in[i], -1, 1);
    }
    void output(int i, Type type, int64_t count) {
        if (case_.without_out >> i & 1) return;
        out[i] = make(type, count);
        out_type[i] = type;
    }
    GuardedTensor make(Type type, int64_t count) const {
        return {type == Type::Real  ? sizeof(Real)
                : type == Type::Int ? sizeof(int32_t)
                                    : sizeof(double),
                count, case_.misaligned};
    }
    void fill(GuardedTensor& t, float low, float high) {
        for (size_t i = 0; i < t.count(); ++i) t.template as<Real>()[i] = random_.uniform(low, high);
    }
    void indices(GuardedTensor& t, int64_t below) {
        for (size_t i = 0; i < t.count(); ++i)
            t.template as<int32_t>()[i] = static_cast<int32_t>(below > 0 ? random_.below(below) : 0);
    }
    // In place: the values of in[0] stand in out[i].
    void replace(int i) {
        if (case_.in_place) std::memcpy(out[i].data(), in[0].data(), in[0].bytes());
    }
    void norm_statistics(const GuardedTensor& x, GuardedTensor& mean, GuardedTensor& rstd) {
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

    OpCase case_;
    Call call_;
    Random random_{case_.seed};
};

/// How far a result may lie from the expected one: |a - b| <= l2 |b| over each output, and max |a - b| <= max max |b|.
/// Outputs smaller than `scale` are measured against that, where an op's result is a small difference of large numbers.
struct Tolerance {
    double l2 = 1e-6, max = 4e-6, scale = 1e-3;
};

/// What lies between two outputs. Elements that the expected run did not touch (still NaN) must be untouched in the other.
struct Difference {
    double l2 = 0, max = 0;
    bool untouched_differ = false;
};

template <class A, class B>
Difference difference(const A* got, const B* expected, size_t count, double scale = 1e-30) {
    double squares = 0, error = 0, largest = 0;
    Difference d;
    for (size_t i = 0; i < count; ++i) {
        const double a = static_cast<double>(got[i]), b = static_cast<double>(expected[i]);
        if (std::isnan(b)) {
            d.untouched_differ |= !std::isnan(a);
            continue;
        }
        const double e = std::isnan(a) ? INFINITY : std::abs(a - b);
        error += e * e;
        squares += b * b;
        d.max = std::max(d.max, e);
        largest = std::max(largest, std::abs(b));
    }
    if (d.max > 0) {
        d.l2 = std::sqrt(error) / std::max(std::sqrt(squares), scale * std::sqrt(static_cast<double>(count)));
        d.max /= std::max(largest, scale);
    }
    return d;
}

/// Compares all outputs of the same case. Int outputs must be equal.
template <class A, class B>
testing::AssertionResult near_to(const Operands<A>& got, const Operands<B>& expected, const Tolerance& tolerance) {
    for (int i = 0; i < kMaxOut; ++i) {
        const GuardedTensor &a = got.out[i], &b = expected.out[i];
        if (!a.present()) continue;
        if (got.out_type[i] == GuardedTensor::Type::Int) {
            if (std::memcmp(a.data(), b.data(), a.bytes()) != 0)
                return testing::AssertionFailure() << "out[" << i << "] differs: " << got.description().text();
            continue;
        }
        const Difference d = got.out_type[i] == GuardedTensor::Type::Double
                                 ? difference(a.as<double>(), b.as<double>(), a.count(), tolerance.scale)
                                 : difference(a.as<A>(), b.as<B>(), a.count(), tolerance.scale);
        if (!(d.l2 <= tolerance.l2 && d.max <= tolerance.max) || d.untouched_differ)
            return testing::AssertionFailure()
                   << "out[" << i << "] is off by " << d.l2 << " (L2), " << d.max << " (largest)"
                   << (d.untouched_differ ? ", and wrote where it must not" : "") << ": " << got.description().text();
    }
    return testing::AssertionSuccess();
}

/// Whether all outputs are the same, bit for bit.
inline testing::AssertionResult same(const Operands<float>& got, const Operands<float>& expected, const char* what) {
    for (int i = 0; i < kMaxOut; ++i)
        if (got.out[i].present() && std::memcmp(got.out[i].data(), expected.out[i].data(), got.out[i].bytes()) != 0) {
            size_t at = 0;
            while (std::memcmp(got.out[i].data() + at, expected.out[i].data() + at, 4) == 0) at += 4;
            return testing::AssertionFailure() << what << ": out[" << i << "] differs at element " << at / 4 << " of "
                                               << got.out[i].bytes() / 4 << ": " << got.description().text();
        }
    return testing::AssertionSuccess();
}

/// A number read as digits of changing base: counts through, or picks at random from, combinations of options.
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

/// Sets the options that the op has, from a number; returns how many combinations there are.
inline uint64_t choose_options(OpCase& c, uint64_t number) {
    Choice choice(number);
    c.step.seed = 0x123456789ABCDEFull;
    c.step.index = 7;
    c.step.loss_scale = 0.125f;
    c.p.stream = 5;
    c.p.eps = 1e-5f;
    const auto optional_in = [&](int i) { c.without_in |= choice.flag() ? 1u << i : 0; };
    const auto optional_out = [&](int i) { c.without_out |= choice.flag() ? 1u << i : 0; };
    const auto dropout = [&] { c.p.dropout = static_cast<uint32_t>(std::array{0, 6554, 32768}[choice.pick(3)]); };
    const auto weight_gradient = [&] {
        // = everywhere, += by node for each of the outputs, += by step
        const int how = choice.pick(3);
        c.accumulate = static_cast<uint8_t>(how == 1 ? 3 & ~c.without_out : 0);
        c.step.accumulate = how == 2;
    };
    c.misaligned = choice.flag();
    switch (c.op) {
        case Op::Embed:
            dropout();
            optional_in(3);
            if (c.without_in & 8) c.p.S = 0, c.without_in |= choice.flag() ? 2 : 0;
            break;
        case Op::EmbedBackward:
            dropout();
            optional_out(1);
            if (c.without_out & 2) c.p.S = 0, c.without_in |= choice.flag() ? 4 : 0;
            weight_gradient();
            break;
        case Op::Norm:
            optional_in(2);
            if (choice.flag()) c.without_out = 6;
            break;
        case Op::NormBackward: c.accumulate = choice.flag(); break;
        case Op::NormBackwardWeight:
            optional_out(1);
            weight_gradient();
            break;
        case Op::Linear:
            c.p.by_columns = choice.flag();
            optional_in(2), optional_in(3);
            dropout();
            c.p.act = static_cast<Act>(choice.pick(4));
            optional_out(1);
            if (c.p.act == Act::None) c.without_out = 2;  // y says it all; no graph asks for both
            break;
        case Op::LinearBackwardEpilogue:
            c.in_place = choice.flag();
            dropout();
            c.p.act = static_cast<Act>(choice.pick(4));
            if (c.p.act == Act::None) c.without_in = 2;
            break;
        case Op::LinearBackward:
            c.p.by_columns = choice.flag();
            c.accumulate = choice.flag();
            break;
        case Op::LinearBackwardWeight:
            optional_out(1);
            weight_gradient();
            break;
        case Op::Attention:
        case Op::AttentionBackward: dropout(); break;
        case Op::CrossEntropy:
            optional_out(2);
            c.in_place = choice.flag();
            if (!c.in_place) optional_out(1);
            break;
        case Op::ClipFactor: c.step.clip = std::array{0.0f, 1.0f, 1000.0f}[choice.pick(3)]; break;
        case Op::AdamW:
        case Op::Sgd:
            if (c.op == Op::Sgd) optional_out(1);
            c.p.decay = choice.flag();
            c.step.lr = 0.01f, c.step.beta1 = 0.9f, c.step.beta2 = 0.95f, c.step.eps = 1e-8f;
            c.step.weight_decay = 0.1f, c.step.momentum = 0.9f;
            c.step.correction1 = 0.271f, c.step.correction2 = 0.142625f;
            break;
        default: break;
    }
    return choice.count();
}

/// Calls body(case) for cases that cover every size of `sizes` in every dimension of the op, with changing options, and
/// every combination of options at one shape.
template <class Body>
void for_each_case(Op op, const std::vector<int64_t>& sizes, Body&& body) {
    Random random(static_cast<uint64_t>(op) + 1);
    uint64_t seed = 1;
    const auto emit = [&](const Params& p, uint64_t options) {
        OpCase c;
        c.op = op;
        c.p = p;
        c.seed = seed++;
        const uint64_t combinations = choose_options(c, options);
        body(std::as_const(c));
        return combinations;
    };
    const bool attention = op == Op::Attention || op == Op::AttentionBackward || op == Op::AttentionCached;
    const auto shape = [&](int64_t B, int64_t T, int64_t C, int64_t N, int64_t H, int64_t S) {
        Params p;
        p.B = B, p.T = T, p.C = C, p.N = N, p.H = H, p.S = S;
        return p;
    };
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

/// Sizes that leave every tail in vectors of up to 16 and in blocks of up to 128.
inline std::vector<int64_t> tail_sizes() {
    std::vector<int64_t> sizes;
    for (int64_t i = 1; i <= 40; ++i) sizes.push_back(i);
    for (const int64_t i : {63, 64, 65, 127, 128, 129, 130, 192, 768}) sizes.push_back(i);
    return sizes;
}

}  // namespace nib::test
