// The reference kernels by name; Real is float or double. Tensors in and out are listed in core/op.h.
#pragma once

#include "core/op.h"

namespace nib::ref {

#define NIB_REFERENCE(name) \
    template <class Real>   \
    void name(const Call& call, Range units, void* scratch)

NIB_REFERENCE(embed);
NIB_REFERENCE(embed_backward);
NIB_REFERENCE(norm);
NIB_REFERENCE(norm_backward);
NIB_REFERENCE(norm_backward_weight);
NIB_REFERENCE(linear);
NIB_REFERENCE(linear_backward_epilogue);
NIB_REFERENCE(linear_backward);
NIB_REFERENCE(linear_backward_weight);
NIB_REFERENCE(attention);
NIB_REFERENCE(attention_backward);
NIB_REFERENCE(attention_cached);
NIB_REFERENCE(gather_rows);
NIB_REFERENCE(cross_entropy);
NIB_REFERENCE(sum_squares);
NIB_REFERENCE(clip_factor);
NIB_REFERENCE(adamw);
NIB_REFERENCE(sgd);

#undef NIB_REFERENCE

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
