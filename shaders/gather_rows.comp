// y[n,c] = x[which[n], c]. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, float, x);    // (R,C)
TENSOR(1, readonly restrict, int, which);  // (N)
TENSOR(5, writeonly restrict, float, y);   // (N,C)

void main() {
    const uint n = group();
    if (n >= p.N) return;
    const uint r = uint(AT(1, which, n));
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) AT(5, y, n * p.C + c) = AT(0, x, r * p.C + c);
}
