// Gated linear units. Formulas: src/ref/glu.cpp.
#include "cpu/epilogue.h"

namespace nib::cpu::NIB_ISA {

void glu(const Call& call, Range rows, void*) {
    using O = operand::Glu;
    const int64_t first = rows.begin * call.p.C, count = (rows.end - rows.begin) * call.p.C;
    const float *gate = call.input<float>(O::gate) + first, *up = call.input<float>(O::up) + first;
    float* y = call.output<float>(O::y) + first;
    with_activation(call.p.act, [&]<Act act>() {
        for_each_vector(count,
                        [&](int64_t i, auto get, auto put) { put(y + i, activate<act>(get(gate + i)) * get(up + i)); });
    });
}

void glu_backward(const Call& call, Range rows, void*) {
    using O = operand::GluBackward;
    const int64_t first = rows.begin * call.p.C, count = (rows.end - rows.begin) * call.p.C;
    const float *dy = call.input<float>(O::dy) + first, *gate = call.input<float>(O::gate) + first,
                *up = call.input<float>(O::up) + first;
    float *dgate = call.output<float>(O::dgate) + first, *dup = call.output<float>(O::dup) + first;
    const bool adds_gate = call.adds(O::dgate), adds_up = call.adds(O::dup);
    with_activation(call.p.act, [&]<Act act>() {
        for_each_vector(count, [&](int64_t i, auto get, auto put) {
            const vf d = get(dy + i), x = get(gate + i), of_gate = d * get(up + i) * activate_derivative<act>(x),
                     of_up = d * activate<act>(x);
            put(dgate + i, adds_gate ? get(dgate + i) + of_gate : of_gate);
            put(dup + i, adds_up ? get(dup + i) + of_up : of_up);
        });
    });
}

}  // namespace nib::cpu::NIB_ISA
