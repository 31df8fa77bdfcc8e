// Before embed_backward: zeros in rows [begin, end) of dwte and, where `begin` is 0, in dwpe, unless they are added to, and in the
// links. One workgroup per row.
#version 450
#include "common.glsl"

TENSOR(5, writeonly restrict, float, dwte);  // (V,C)
TENSOR(6, writeonly restrict, float, dwpe);  // (S,C)
TENSOR(7, writeonly restrict, uint, links);  // behind the mask

#include "embed_backward.glsl"

void main() {
    const uint row = group();
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) {
        if (row < p.end - p.begin && !adds_weight(0)) AT(5, dwte, row * p.C + c) = 0.0;
        if (p.begin == 0 && has(6) && row < p.S && !adds_weight(1)) AT(6, dwpe, row * p.C + c) = 0.0;
    }
    const uint step = gl_NumWorkGroups.x * gl_NumWorkGroups.y * W;
    if (p.begin == 0)
        for (uint i = row * W + gl_LocalInvocationIndex; i < 2 * p.B * p.T; i += step) links_data[link_at(0, i)] = 0;
}
