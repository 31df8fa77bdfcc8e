// For benchmarks: 8 p.C rounds of 32 independent multiply-adds in each invocation.
#version 450
#include "common.glsl"

TENSOR(kMaxIn, writeonly restrict, float, sink);  // (invocations)

void main() {
    const uint i = group() * W + gl_LocalInvocationIndex;
    vec4 chains[8];
    for (uint c = 0; c < 8; ++c) chains[c] = vec4(i, i + 1, i + 2, i + 3) + 4.0 * float(c);
    for (uint round = 0; round < p.C; ++round)
        for (uint again = 0; again < 8; ++again)
            for (uint c = 0; c < 8; ++c) chains[c] = fma(chains[c], vec4(0.999), vec4(0.001));
    vec4 sum = vec4(0.0);
    for (uint c = 0; c < 8; ++c) sum += chains[c];
    AT(sink, i) = sum.x + sum.y + sum.z + sum.w;
}
