// partial[i] = sum of squares of block i of x, of kSumBlock numbers; x is bound from element `begin`, a multiple of kSumBlock,
// to `end`. One workgroup per block.
#version 450
#include "common.glsl"
#include "double.glsl"

TENSOR(SumSquares_x, readonly restrict, float, x);               // (C)
TENSOR(SumSquares_partial, writeonly restrict, uvec2, partial);  // (ceil(C/kSumBlock)) in double

const uint kSumBlock = 65536, kRun = 32;

void main() {
    const uint block = group(), begin = block * kSumBlock, end = min(begin + kSumBlock, p.end - p.begin);
    if (begin >= end) return;
    float sum = 0.0;
    for (uint first = begin; first < end; first += W * kRun) {
        float squares = 0.0;  // summing in two levels keeps the error small
        for (uint run = 0; run < kRun; ++run) {
            const uint j = first + run * W + gl_LocalInvocationIndex;
            const float number = only_if(j < end, AT(x, min(j, end - 1)));
            squares = fma(number, number, squares);
        }
        sum += squares;
    }
    const float total = sum_of_group(sum);
    if (gl_LocalInvocationIndex == 0) AT(partial, p.begin / kSumBlock + block) = to_double(total);
}
