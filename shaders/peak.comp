// For `nib bench`: p.C rounds of 16 independent multiply-adds in each invocation.
#version 450
#include "common.glsl"

TENSOR(5, float, sink);  // (invocations)

void main() {
    const uint i = group() * W + gl_LocalInvocationIndex;
    vec4 a = vec4(i, i + 1, i + 2, i + 3), b = a + 4.0, c = a + 8.0, d = a + 12.0;
    const vec4 factor = vec4(0.999), term = vec4(0.001);
    for (uint round = 0; round < p.C; ++round) {
        a = fma(a, factor, term);
        b = fma(b, factor, term);
        c = fma(c, factor, term);
        d = fma(d, factor, term);
    }
    const vec4 sum = a + b + c + d;
    AT(5, sink, i) = sum.x + sum.y + sum.z + sum.w;
}
