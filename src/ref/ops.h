// The reference kernels by name; Real is float or double. Operands are listed in core/op_table.inc.
#pragma once

#include "core/op.h"

namespace nib::ref {

#define OP(Name, name, ...) \
    template <class Real>   \
    void name(const Call& call, Range units, void* scratch);
#include "core/op_table.inc"

/// Both instances of a kernel, at the end of the file that defines it.
#define NIB_INSTANTIATE(name)                             \
    template void name<float>(const Call&, Range, void*); \
    template void name<double>(const Call&, Range, void*)

/// out = value, or out += value.
template <class Real, class Value>
void put(Real& out, Value value, bool adds) {
    out = static_cast<Real>(adds ? static_cast<Value>(out) + value : value);
}

}  // namespace nib::ref
