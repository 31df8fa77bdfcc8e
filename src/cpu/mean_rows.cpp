// Means of texts. Formulas: src/ref/mean_rows.cpp.
#include "cpu/simd.h"

namespace nib::cpu::NIB_ISA {

void mean_rows(const Call& call, Range units, void*) {
    using O = operand::MeanRows;
    const auto* texts = call.input<int32_t>(O::texts);  // (N,2)
    const int64_t C = call.p.C, last = min(units.end, call.gathered_rows());
    for (int64_t n = units.begin; n < last; ++n) {
        const int64_t first = texts[2 * n], rows = texts[2 * n + 1] - first;
        const float* x = call.input<float>(O::x) + first * C;  // (R,C)
        float* y = call.output<float>(O::y) + n * C;           // (N,C)
        const vf share(rows > 0 ? 1 / static_cast<float>(rows) : 0.0f);
        for_each_vector(C, [&](int64_t c, auto get, auto put) {
            vf sum(0.0f);
            for (int64_t r = 0; r < rows; ++r) sum += get(x + r * C + c);
            put(y + c, sum * share);
        });
    }
}

void mean_rows_backward(const Call& call, Range columns, void*) {
    using O = operand::MeanRowsBackward;
    const auto* texts = call.input<int32_t>(O::texts);  // (N,2)
    const int64_t C = call.p.C, count = columns.end - columns.begin;
    const float* dy = call.input<float>(O::dy) + columns.begin;  // (N,C)
    float* dx = call.output<float>(O::dx) + columns.begin;       // (R,C)
    for (int64_t r = 0; !call.adds(O::dx) && r < call.rows(); ++r)
        __builtin_memset(dx + r * C, 0, static_cast<size_t>(count) * sizeof(float));
    for (int64_t n = 0; n < call.gathered_rows(); ++n) {
        const int64_t first = texts[2 * n], end = texts[2 * n + 1];
        const vf share(1 / static_cast<float>(end - first));
        for (int64_t r = first; r < end; ++r)
            for_each_vector(count, [&](int64_t c, auto get, auto put) {
                put(dx + r * C + c, get(dx + r * C + c) + get(dy + n * C + c) * share);
            });
    }
}

}  // namespace nib::cpu::NIB_ISA
