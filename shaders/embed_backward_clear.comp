// Before embed_backward: clears rows [begin, end) of dw, unless they are added to, and in the first piece the links. One
// workgroup per row.
#version 450
#include "common.glsl"
#include "embed_backward.glsl"

TENSOR(EmbedBackward_dwte, writeonly restrict, float, dw);  // (N,C)
TENSOR(kScratch, writeonly restrict, uint, links);          // behind the mask

void main() {
    const uint row = group(), step = gl_NumWorkGroups.x * gl_NumWorkGroups.y * W;
    if (row < p.end - p.begin && !adds(dw_operand))
        for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) AT(dw, row * p.C + c) = 0.0;
    if (p.begin == 0)
        for (uint i = row * W + gl_LocalInvocationIndex; i < p.B * p.T; i += step) AT(links, link_at(i)) = 0;
}
