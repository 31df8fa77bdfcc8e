// The scalar reference: every op, forward and backward, with its formula above the loop. It is the specification that the
// SIMD kernels and the shaders are held to.
#pragma once

#include "core/op.h"

namespace nib::ref {

/// On float tensors, with sums in double.
extern const KernelTable table;

/// The same formulas on double tensors, for checks by finite differences.
extern const KernelTable table_double;

}  // namespace nib::ref
