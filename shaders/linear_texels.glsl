// What products of linear for devices that are CPUs share: their tensors but w, and how they end.
TEXELS(0, x)         // (R,C)
TEXELS(2, bias)      // (1,N)
TEXELS(3, residual)  // (R,N)
FOURS(5, y)          // (R,N)
FOURS(6, pre)        // (R,N)

#include "activation.glsl"

void store(uint r, uint n, vec4 sum) {
    if (has(2)) sum += bias(0, p.N, n, p.end);
    const uint at = r * p.N + n, end = r * p.N + p.end;
    if ((kParts & 2) != 0) put_pre(at, end, sum);
    if ((kParts & 1) == 0) return;
    for (uint q = 0; q < 4; ++q) sum[q] = activate(kAct, sum[q]);
    put_y(at, end, kResidual != 0 ? get_residual(at, end) + sum : sum);
}
