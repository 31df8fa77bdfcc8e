// dx[r,c] = sum of dy[n,c] over the n with rows[n] = r. One workgroup per row r.
#version 450
#include "common.glsl"

TENSOR(GatherBackward_dy, readonly restrict, float, dy);    // (N,C)
TENSOR(GatherBackward_rows, readonly restrict, int, rows);  // (N)
TENSOR(GatherBackward_dx, restrict, float, dx);             // (R,C)

void main() {
    const uint r = group(), i = gl_LocalInvocationIndex, N = gathered_rows();
    if (r >= p.B * p.T) return;
    if (!adds(dx_operand))
        for (uint c = i; c < p.C; c += W) AT(dx, r * p.C + c) = 0.0;
    for (uint n = 0; n < N; ++n) {
        if (uint(AT(rows, n)) != r) continue;
        for (uint c = i; c < p.C; c += W) AT(dx, r * p.C + c) += AT(dy, n * p.C + c);
    }
}
