// For benchmarks: to = from, p.C vectors.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, uvec4, from);      // (C)
TENSOR(kMaxIn, writeonly restrict, uvec4, to);  // (C)

void main() {
    const uint i = group() * W + gl_LocalInvocationIndex;
    if (i < p.C) AT(to, i) = AT(from, i);
}
