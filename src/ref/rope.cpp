#include "ref/ops.h"

namespace nib::ref {

// Rotary positions (Su et al. 2021): in each of the first H heads of a row, of D numbers each, the pair (a, b) becomes
// (a cos - b sin, b cos + a sin), or is rotated back with `inverse`; pair i has cosine rotation[r,i] and sine
// rotation[r, S/2 + i]. The pairs are (i, i + S/2), or (2i, 2i + 1) when they are interleaved. Numbers beyond the first
// S of a head, and beyond the H heads, are unchanged.
template <class Real>
void rope(const Call& call, Range rows, void*) {
    using O = operand::Rope;
    const auto* x = call.input<Real>(O::x);  // (R,C)
    auto* y = call.output<Real>(O::y);       // (R,C), may be x
    const Params& p = call.p;
    const int64_t half = p.S / 2, first = p.interleaved ? 2 : 1, second = p.interleaved ? 1 : half;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const auto* cosines = call.input<Real>(O::rotation) + r * p.S;  // (R,S)
        const auto* sines = cosines + half;
        for (int64_t c = 0; c < p.C; ++c) y[r * p.C + c] = x[r * p.C + c];
        for (int64_t h = 0; h < p.H; ++h)
            for (int64_t i = 0; i < half; ++i) {
                const int64_t at = r * p.C + h * p.D + first * i;
                const double a = x[at], b = x[at + second], sine = p.inverse ? -sines[i] : sines[i];
                y[at] = static_cast<Real>(a * cosines[i] - b * sine);
                y[at + second] = static_cast<Real>(b * cosines[i] + a * sine);
            }
    }
}

NIB_INSTANTIATE(rope);

}  // namespace nib::ref
