// y[n,c] = x[rows[n], c]. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(Gather_x, readonly restrict, float, x);      // (R,C)
TENSOR(Gather_rows, readonly restrict, int, rows);  // (N)
TENSOR(Gather_y, writeonly restrict, float, y);     // (N,C)

void main() {
    const uint n = group();
    if (n >= gathered_rows()) return;
    const uint r = uint(AT(rows, n));
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) AT(y, n * p.C + c) = AT(x, r * p.C + c);
}
