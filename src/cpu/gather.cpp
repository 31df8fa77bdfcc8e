// Rows by number. Formulas: src/ref/gather.cpp.
#include "cpu/simd.h"

namespace nib::cpu::NIB_ISA {

void gather(const Call& call, Range outputs, void*) {
    using O = operand::Gather;
    const int64_t C = call.p.C, end = min(outputs.end, call.gathered_rows());
    for (int64_t n = outputs.begin; n < end; ++n)
        __builtin_memcpy(call.output<float>(O::y) + n * C, call.input<float>(O::x) + call.input<int32_t>(O::rows)[n] * C,
                         static_cast<size_t>(C) * sizeof(float));
}

void gather_backward(const Call& call, Range columns, void*) {
    using O = operand::GatherBackward;
    const int64_t C = call.p.C, count = columns.end - columns.begin;
    const float* dy = call.input<float>(O::dy) + columns.begin;  // (N,C)
    float* dx = call.output<float>(O::dx) + columns.begin;       // (R,C)
    for (int64_t r = 0; !call.adds(O::dx) && r < call.p.B * call.p.T; ++r)
        __builtin_memset(dx + r * C, 0, static_cast<size_t>(count) * sizeof(float));
    for (int64_t n = 0; n < call.gathered_rows(); ++n) {
        float* sum = dx + call.input<int32_t>(O::rows)[n] * C;
        for_each_vector(count, [&](int64_t c, auto get, auto put) { put(sum + c, get(sum + c) + get(dy + n * C + c)); });
    }
}

}  // namespace nib::cpu::NIB_ISA
