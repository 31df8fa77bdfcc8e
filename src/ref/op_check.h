// Holds a table of kernels to the reference: one call with random data on both, and the largest difference.
#pragma once

#include <vector>

#include "core/op.h"

namespace nib::ref {

/// A call without its data.
struct OpCase {
    Op op = Op::Count;
    Params p = {};
    uint8_t absent_in = 0, absent_out = 0;  // bit i: optional tensor i is null
    uint8_t accumulate = 0;                 // as Call::accumulate
    int64_t rows = 0;                       // as Step::rows
    int64_t offset = 0;                     // floats by which every tensor misses 64-byte alignment
};

/// Every op, with and without its options, at a few small odd shapes.
std::vector<OpCase> op_cases();

/// Runs the case on `kernels`, cut into pieces as the executor does it, and on the reference. The largest difference of
/// each output relative to its largest value; infinite if something is not a number, an index differs, or a kernel wrote
/// outside its tensors.
double op_error(const OpCase& c, const KernelTable& kernels, unsigned seed = 1);

/// What sums in float over some hundred elements may differ by.
constexpr double kOpTolerance = 2e-5;

}  // namespace nib::ref
