// Checks kernels against the reference: tolerances, and the differences between results.
#pragma once

#include <string>

#include "check/operands.h"

namespace nib::check {

/// How much a result may differ from the expected one: |a - b| <= l2 |b| over each output, and max |a - b| <= max max |b|.
/// Where |b| is below `scale`, `scale` replaces it: results may be small differences of large numbers.
struct Tolerance {
    double l2 = 1e-6, max = 4e-6, scale = 1e-3;
};

/// For kernels that sum in float, against the reference's sums in double, on numbers around 1. With a NaN among the inputs,
/// results need only be NaN where the reference's are.
Tolerance op_tolerance(const OpCase& c);

/// Numbers of one type, F32, F64, F16 or I32: rows of `width` that begin `stride` elements apart.
struct Numbers {
    const void* data;
    DType type;
    size_t count, width, stride;
    Numbers(const GuardedTensor& t);
    Numbers(const void* from, DType of, size_t n, size_t row, size_t apart)
        : data(from), type(of), count(n), width(row), stride(apart) {}
    double operator[](size_t number) const;
};

/// The difference between two outputs, relative as in Tolerance. Infinite for a NaN where a number is expected, and for
/// integers and infinities that differ.
struct Difference {
    double l2 = 0, max = 0;
    bool untouched_differ = false;  // elements that the expected run left alone (still NaN) were written
    bool within(const Tolerance& tolerance) const {
        return l2 <= tolerance.l2 && max <= tolerance.max && !untouched_differ;
    }
    /// "off by ..."
    std::string text() const;
};
Difference difference(const Numbers& got, const Numbers& expected, double scale);

/// All outputs of two runs of a case.
struct Comparison {
    double error = 0;      // the largest l2
    std::string mismatch;  // the first thing that is wrong, in words; empty: nothing
};
template <class A, class B>
Comparison compare(const Operands<A>& got, const Operands<B>& expected, const Tolerance& tolerance);

/// Runs the case on `kernels`, in pieces, and on the reference.
Comparison check_op(const OpCase& c, const KernelTable& kernels);

}  // namespace nib::check
