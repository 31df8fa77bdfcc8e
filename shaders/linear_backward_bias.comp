// db[n] = sum_r dpre[r,n]. D columns n per workgroup, on each of which W / D invocations sum.
#version 450
#include "common.glsl"

TENSOR(0, float, dpre);  // (R,N)
TENSOR(6, float, db);    // (N)

shared float sums[W];

void main() {
    const uint i = gl_LocalInvocationIndex, n = group() * D + i % D, R = p.B * p.T;
    float sum = 0.0;
    if (n < p.N)
        for (uint r = i / D; r < R; r += W / D) sum += AT(0, dpre, r * p.N + n);
    sums[i] = sum;
    for (uint step = W / D / 2; step > 0; step /= 2) {
        barrier();
        if (i < step * D) sums[i] += sums[i + step * D];
    }
    if (i >= D || n >= p.N) return;
    AT(6, db, n) = adds_weight(1) ? AT(6, db, n) + sums[i] : sums[i];
}
