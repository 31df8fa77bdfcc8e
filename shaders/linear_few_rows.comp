// The same as linear for D rows, few enough that reading the weights takes most of the time. 8 columns n per workgroup, on
// each of which W / 8 invocations sum together.
#version 450
#include "common.glsl"
#include "linear.glsl"

const uint kColumns = 8;
const uint kLanes = W / kColumns;

shared float partial[D][W];

void main() {
    const uint i = gl_LocalInvocationIndex, lane = i % kLanes, R = run_rows();
    const uint n = p.begin + group() * kColumns + i / kLanes;
    float sums[D];
    for (uint r = 0; r < D; ++r) sums[r] = 0.0;
    if (n < p.end)
        for (uint c = lane; c < p.C; c += kLanes) {
            const float wc = w_number(kType, p.shift[1], (n - p.begin) * p.C + c);
            for (uint r = 0; r < D; ++r)
                if (r < R) sums[r] = fma(AT(0, x, r * p.C + c), wc, sums[r]);
        }
    for (uint r = 0; r < D; ++r) partial[r][i] = sums[r];
    for (uint step = kLanes / 2; step > 0; step /= 2) {
        barrier();
        if (lane < step)
            for (uint r = 0; r < D; ++r) partial[r][i] += partial[r][i + step];
    }
    barrier();
    for (uint r = lane; r < R; r += kLanes)
        if (n < p.end) store(r, n, partial[r][i - lane]);
}
