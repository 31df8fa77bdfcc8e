// partial[i] = sum of squares of block i of x, of kSumBlock numbers; x is bound from element `begin`, a multiple of kSumBlock,
// to `end`. One workgroup per block.
#version 450
#include "common.glsl"
#include "double.glsl"

TENSOR(0, float, x);        // (C)
TENSOR(5, uvec2, partial);  // (ceil(C/kSumBlock)) in double

const uint kSumBlock = 65536, kRun = 32;

void main() {
    const uint block = group(), first = block * kSumBlock, end = min(first + kSumBlock, p.end - p.begin);
    if (first >= end) return;
    float sum = 0.0;
    for (uint j0 = first + gl_LocalInvocationIndex; j0 < end; j0 += W * kRun) {
        float squares = 0.0;  // a sum of sums keeps the error small
        for (uint j = j0; j < min(j0 + W * kRun, end); j += W) squares = fma(AT(0, x, j), AT(0, x, j), squares);
        sum += squares;
    }
    const float total = sum_of_group(sum);
    if (gl_LocalInvocationIndex == 0) AT(5, partial, p.begin / kSumBlock + block) = to_double(total);
}
