// dx = (dy - y (y dy)) / |x|, and dy / eps where |x| < eps. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(NormalizeBackward_dy, readonly restrict, float, dy);  // (R,C)
TENSOR(NormalizeBackward_x, readonly restrict, float, x);    // (R,C)
TENSOR(NormalizeBackward_dx, restrict, float, dx);           // (R,C)

void main() {
    const uint r = group(), row = r * p.C, last = p.C - 1;
    if (r >= live_rows()) return;
    float squares = 0.0, product = 0.0;
    for (uint first = 0; first < p.C; first += W) {
        const uint c = first + gl_LocalInvocationIndex, at = row + min(c, last);
        const float v = only_if(c < p.C, AT(x, at));
        squares = fma(v, v, squares);
        product = fma(v, only_if(c < p.C, AT(dy, at)), product);
    }
    const float length = sqrt(sum_of_group(squares));
    product = sum_of_group(product);
    const bool is_short = !is_nan(length) && length < p.eps;
    const float inverse = 1.0 / (is_short ? p.eps : length), along = is_short ? 0.0 : product * inverse * inverse;
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) {
        const uint at = row + c;
        PUT(dx, at, (AT(dy, at) - AT(x, at) * along) * inverse);
    }
}
