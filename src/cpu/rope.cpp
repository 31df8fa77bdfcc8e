// Rotary positions. Formula: src/ref/rope.cpp.
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {

void rope(const Call& call, Range rows, void*) {
    using O = operand::Rope;
    const Params& p = call.p;
    const int64_t half = p.S / 2;
    const float sign = p.inverse ? -1.0f : 1.0f;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const float *cosines = call.input<float>(O::rotation) + r * p.S, *sines = cosines + half;
        const float* x = call.input<float>(O::x) + r * p.C;
        float* y = call.output<float>(O::y) + r * p.C;
        if (x != y) __builtin_memcpy(y, x, static_cast<size_t>(p.C) * sizeof(float));
        for (int64_t h = 0; h < p.H; ++h) {
            float* head = y + h * p.D;
            if (p.interleaved) {
                for (int64_t i = 0; i < half; ++i) {
                    const float a = head[2 * i], b = head[2 * i + 1], sine = sign * sines[i];
                    head[2 * i] = __builtin_fmaf(a, cosines[i], -(b * sine));
                    head[2 * i + 1] = __builtin_fmaf(b, cosines[i], a * sine);
                }
                continue;
            }
            for_each_vector(half, [&](int64_t i, auto get, auto put) {
                const vf a = get(head + i), b = get(head + half + i), c = get(cosines + i), s = get(sines + i) * vf(sign);
                put(head + i, nmadd(b, s, a * c));
                put(head + half + i, madd(a, s, b * c));
            });
        }
    }
}

}  // namespace nib::cpu::NIB_ISA
