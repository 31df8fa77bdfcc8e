// y[r,n] = residual[r,n] + act(sum_c x[r,c] w[n,c] + b[n]) for n in [begin, end). A workgroup of 8 x 8 invocations computes a
// tile, D x D numbers in each.
#version 450
#include "common.glsl"
#include "linear.glsl"

const uint kSide = 8, kTile = kSide * D, kDepth = 16;

shared float xs[kDepth][kTile + 1], ws[kDepth][kTile + 1];

void main() {
    const uint i = gl_LocalInvocationIndex, tx = i % kSide, ty = i / kSide;
    const uint R = run_rows(), r0 = gl_WorkGroupID.y * kTile, n0 = p.begin + gl_WorkGroupID.x * kTile;
    if (r0 >= R) return;
    float sums[D][D];
    for (uint a = 0; a < D; ++a)
        for (uint b = 0; b < D; ++b) sums[a][b] = 0.0;
    for (uint c0 = 0; c0 < p.C; c0 += kDepth) {
        barrier();
        for (uint j = i; j < kTile * kDepth; j += kSide * kSide) {
            const uint row = j / kDepth, k = j % kDepth, c = c0 + k, r = r0 + row, n = n0 + row;
            xs[k][row] = r < R && c < p.C ? AT(0, x, r * p.C + c) : 0.0;
            ws[k][row] = n < p.end && c < p.C ? w_number(kType, p.shift[1], (n - p.begin) * p.C + c) : 0.0;
        }
        barrier();
        for (uint k = 0; k < kDepth; ++k) {
            float xk[D], wk[D];
            for (uint a = 0; a < D; ++a) xk[a] = xs[k][ty + a * kSide];
            for (uint b = 0; b < D; ++b) wk[b] = ws[k][tx + b * kSide];
            for (uint a = 0; a < D; ++a)
                for (uint b = 0; b < D; ++b) sums[a][b] = fma(xk[a], wk[b], sums[a][b]);
        }
    }
    for (uint a = 0; a < D; ++a)
        for (uint b = 0; b < D; ++b) {
            const uint r = r0 + ty + a * kSide, n = n0 + tx + b * kSide;
            if (r < R && n < p.end) store(r, n, sums[a][b]);
        }
}
