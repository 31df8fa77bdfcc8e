// y = x / max(|x|, eps) of each row. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(Normalize_x, readonly restrict, float, x);   // (R,C)
TENSOR(Normalize_y, writeonly restrict, float, y);  // (R,C)

void main() {
    const uint r = group(), row = r * p.C, last = p.C - 1;
    if (r >= live_rows()) return;
    float squares = 0.0;
    for (uint first = 0; first < p.C; first += W) {
        const uint c = first + gl_LocalInvocationIndex;
        const float v = only_if(c < p.C, AT(x, row + min(c, last)));
        squares = fma(v, v, squares);
    }
    const float length = sqrt(sum_of_group(squares)), divisor = is_nan(length) ? length : max(length, p.eps);
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) AT(y, row + c) = AT(x, row + c) / divisor;
}
