#include <cmath>

#include "ref/activation.h"
#include "ref/ops.h"

namespace nib::ref {

// y = act(gate) up (Shazeer 2020)
template <class Real>
void glu(const Call& call, Range rows, void*) {
    using O = operand::Glu;
    const auto* gate = call.input<Real>(O::gate);  // (R,C)
    const auto* up = call.input<Real>(O::up);      // (R,C)
    auto* y = call.output<Real>(O::y);             // (R,C)
    for (int64_t i = rows.begin * call.p.C; i < rows.end * call.p.C; ++i)
        y[i] = static_cast<Real>(activate(call.p.act, gate[i]) * up[i]);
}

// dgate = dy up act'(gate),  dup = dy act(gate)
template <class Real>
void glu_backward(const Call& call, Range rows, void*) {
    using O = operand::GluBackward;
    const auto* dy = call.input<Real>(O::dy);      // (R,C)
    const auto* gate = call.input<Real>(O::gate);  // (R,C)
    const auto* up = call.input<Real>(O::up);      // (R,C)
    auto* dgate = call.output<Real>(O::dgate);     // (R,C)
    auto* dup = call.output<Real>(O::dup);         // (R,C)
    for (int64_t i = rows.begin * call.p.C; i < rows.end * call.p.C; ++i) {
        const double d = dy[i];
        put(dgate[i], d * up[i] * activate_derivative(call.p.act, gate[i]), call.adds(O::dgate));
        put(dup[i], d * activate(call.p.act, gate[i]), call.adds(O::dup));
    }
}

NIB_INSTANTIATE(glu);
NIB_INSTANTIATE(glu_backward);

}  // namespace nib::ref
