// Vectors of length 1. Formulas: src/ref/normalize.cpp.
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

// {x x, x y}
struct Products {
    float squares, along;
};
Products products(const float* x, const float* y, int64_t n) {
    float sums[2];
    add_up<2>(
        n, sums, [&](int64_t i, auto get, vf* sum) __attribute__((always_inline)) {
            const vf v = get(x + i);
            sum[0] = madd(v, v, sum[0]);
            sum[1] = madd(v, get(y + i), sum[1]);
        });
    return {sums[0], sums[1]};
}

float length_of(float squares) { return first_lane(square_root(vf(squares))); }

}  // namespace

void normalize(const Call& call, Range rows, void*) {
    using O = operand::Normalize;
    const int64_t C = call.p.C;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const float* x = call.input<float>(O::x) + r * C;  // (R,C)
        float* y = call.output<float>(O::y) + r * C;       // (R,C)
        const float length = length_of(products(x, x, C).squares);
        const vf factor(1 / (length < call.p.eps ? call.p.eps : length));
        for_each_vector(C, [&](int64_t c, auto get, auto put) { put(y + c, get(x + c) * factor); });
    }
}

void normalize_backward(const Call& call, Range rows, void*) {
    using O = operand::NormalizeBackward;
    const int64_t C = call.p.C;
    const bool adds = call.adds(O::dx);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const float* dy = call.input<float>(O::dy) + r * C;  // (R,C)
        const float* x = call.input<float>(O::x) + r * C;    // (R,C)
        float* dx = call.output<float>(O::dx) + r * C;       // (R,C)
        const Products sums = products(x, dy, C);
        const float length = length_of(sums.squares), eps = call.p.eps;
        const bool is_short = length < eps;
        const float inverse = 1 / (is_short ? eps : length);
        const vf factor(inverse), less(is_short ? 0.0f : sums.along * inverse * inverse);
        for_each_vector(C, [&](int64_t c, auto get, auto put) {
            const vf d = nmadd(get(x + c), less, get(dy + c)) * factor;
            put(dx + c, adds ? get(dx + c) + d : d);
        });
    }
}

}  // namespace nib::cpu::NIB_ISA
