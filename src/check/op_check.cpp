#include "check/op_check.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quant/quantize.h"
#include "ref/kernels.h"

namespace nib::check {

// Wider for attention, whose exponentials and, in the backward pass, differences amplify errors, and wherever results are
// small differences of large terms.
Tolerance op_tolerance(const OpCase& c) {
    // One rounding to a half float, to either side.
    for (int i = kMaxIn; i < kMaxOperands; ++i)
        if (c.has(i) && c.is_f16_activation(i)) return {6e-4, 1.5e-3, 0.1};
    if (std::isnan(c.special)) return {INFINITY, INFINITY};  // only where the result is NaN matters
    switch (c.op) {
        case Op::NormBackward: return {2e-6, 5e-6, 1};
        case Op::NormalizeBackward: return {2e-6, 4e-6, 0.3};  // of one channel, everything cancels
        case Op::NormBackwardWeight: return {2e-6, 4e-6, 0.1};
        case Op::Attention:
        case Op::AttentionCached: return {2e-6, 5e-6, 0.1};
        case Op::AttentionBackward: return {5e-6, 1e-5, 0.3};  // for a query that sees one key, everything cancels
        case Op::Linear:
            // Dot products of blocks are sums of larger terms, levels and offsets; tanh is at most 1, whatever the sum.
            if (dtype_info(c.type(operand::Linear::w))->block_size > 1 || c.p.act == Act::Tanh) return {1e-5, 3e-5, 0.1};
            return {2e-6, 4e-6, 0.1};
        case Op::LinearBackward:
        case Op::LinearBackwardWeight:
        case Op::Glu:
        case Op::GluBackward:
        case Op::CrossEntropy:
        case Op::LogProbBackward:
        case Op::ValueLoss:
        case Op::PolicyLoss:
        case Op::PreferenceLoss:
        case Op::SpanLoss:
        case Op::MeanRows:
        case Op::Similarity:
        case Op::SimilarityBackward: return {2e-6, 4e-6, 0.1};
        default: return {};
    }
}

Numbers::Numbers(const GuardedTensor& t)
    : data(t.data()), type(t.type()), count(t.count()), width(t.width()), stride(t.stride()) {}

double Numbers::operator[](size_t number) const {
    const size_t i = number / width * stride + number % width;
    if (type == DType::F32) return static_cast<const float*>(data)[i];
    if (type == DType::F16) return quant::from_f16(static_cast<const uint16_t*>(data)[i]);
    return type == DType::F64 ? static_cast<const double*>(data)[i] : static_cast<const int32_t*>(data)[i];
}

std::string Difference::text() const {
    return strprintf("off by %.2e (L2), %.2e (largest)%s", l2, max,
                     untouched_differ ? ", and wrote where it must not" : "");
}

Difference difference(const Numbers& got, const Numbers& expected, double scale) {
    double squares = 0, error = 0, largest = 0;
    Difference d;
    for (size_t i = 0; i < expected.count; ++i) {
        const double a = got[i], b = expected[i];
        if (std::isnan(b)) {
            d.untouched_differ |= !std::isnan(a);
            continue;
        }
        const bool wrong = expected.type == DType::I32 || std::isinf(b) ? a != b : std::isnan(a);
        const double e = wrong ? INFINITY : a == b ? 0 : std::abs(a - b);
        error += e * e;
        d.max = std::max(d.max, e);
        if (std::isinf(b)) continue;
        squares += b * b;
        largest = std::max(largest, std::abs(b));
    }
    if (d.max > 0) {
        d.l2 = std::sqrt(error) / std::max(std::sqrt(squares), scale * std::sqrt(static_cast<double>(expected.count)));
        d.max /= std::max(largest, scale);
    }
    return d;
}

template <class A, class B>
Comparison compare(const Operands<A>& got, const Operands<B>& expected, const Tolerance& tolerance) {
    Comparison c;
    const auto wrong = [&](const std::string& what) {
        if (c.mismatch.empty()) c.mismatch = what + ": " + got.description().text();
    };
    if (!got.overrun().empty()) wrong("written outside of " + got.overrun());
    for (int i = kMaxIn; i < kMaxOperands; ++i) {
        if (!got[i].present()) continue;
        const Difference d = difference(got[i], expected[i], tolerance.scale);
        c.error = std::max(c.error, d.untouched_differ ? INFINITY : d.l2);
        if (!d.within(tolerance)) wrong(std::string(op_info(got.description().op).operands[i].name) + " is " + d.text());
    }
    return c;
}

template Comparison compare(const Operands<float>&, const Operands<float>&, const Tolerance&);
template Comparison compare(const Operands<float>&, const Operands<double>&, const Tolerance&);

Comparison check_op(const OpCase& c, const KernelTable& kernels) {
    Operands<float> expected(c), got(c);
    Random random(c.seed);
    expected.run(ref::table);
    got.run(kernels, got.cut(kernels, random));
    return compare(got, expected, op_tolerance(c));
}

}  // namespace nib::check
