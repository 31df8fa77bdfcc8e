// norm = sqrt(sum of partial),  factor = min(1, clip / (norm + 1e-6)), or 1 without clipping; 0 when the norm is not finite. One
// workgroup.
#version 450
#include "common.glsl"
#include "double.glsl"

TENSOR(ClipFactor_partial, readonly restrict, uvec2, partial);  // (N) in double
TENSOR(ClipFactor_stats, writeonly restrict, float, stats);     // (2): norm, factor

void main() {
    float sum = 0.0;
    for (uint first = 0; first < p.N; first += W) {
        const uint n = first + gl_LocalInvocationIndex;
        sum += only_if(n < p.N, from_double(AT(partial, min(n, p.N - 1))));
    }
    const float norm = sqrt(sum_of_group(sum)), factor = step_values.clip / (norm + 1e-6);
    if (gl_LocalInvocationIndex > 0) return;
    AT(stats, 0) = norm;
    const bool finite = (floatBitsToUint(norm) & 0x7F800000u) != 0x7F800000u;  // drivers may compile isnan() to false
    AT(stats, 1) = !finite ? 0.0 : step_values.clip > 0.0 && factor < 1.0 ? factor : 1.0;
}
