// In the first H heads of a row the pair (a, b) becomes (a cos - b sin, b cos + a sin), or is rotated back if inverse; pair i has
// cosine rotation[r,i] and sine rotation[r, S/2 + i]. Numbers beyond the first S of a head, and beyond the heads, are copied, up to
// the first `end` numbers of a row. D is the head size. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(Rope_x, readonly, float, x);                         // (R,C)
TENSOR(Rope_rotation, readonly restrict, float, rotation);  // (R,S)
TENSOR(Rope_y, writeonly, float, y);                        // (R,C), may be x

void main() {
    const uint r = group(), half_size = p.S / 2;
    if (r >= live_rows()) return;
    for (uint c = gl_LocalInvocationIndex; c < p.end; c += W) {
        const uint at = r * p.C + c, d = c % D;
        if (c >= p.H * D || d >= p.S) {
            AT(y, at) = AT(x, at);
            continue;
        }
        if (is_interleaved() ? d % 2 != 0 : d >= half_size) continue;  // done with the first of its pair
        const uint i = is_interleaved() ? d / 2 : d, other = at + (is_interleaved() ? 1 : half_size);
        const float a = AT(x, at), b = AT(x, other), cosine = AT(rotation, r * p.S + i);
        const float sine = AT(rotation, r * p.S + half_size + i) * (is_inverse() ? -1.0 : 1.0);
        AT(y, at) = a * cosine - b * sine;
        AT(y, other) = b * cosine + a * sine;
    }
}
