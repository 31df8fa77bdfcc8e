// Before embed_backward, on cleared links: links each row r to the next row with the same id, or R, and sets kHasEarlier in the
// link of that next row. One invocation per row.
#version 450
#include "common.glsl"
#include "embed_backward.glsl"

TENSOR(kScratch, restrict, uint, links);  // behind the mask

void main() {
    const uint r = group() * W + gl_LocalInvocationIndex, R = live_rows();
    if (r >= R) return;
    const int id = AT(ids, r);
    uint next = R;
    for (uint q = R - 1; q > group() * W; --q)  // the same rows in the whole workgroup, which reads each of them once
        next = mix(next, q, all(bvec2(q > r, AT(ids, q) == id)));
    atomicOr(AT(links, link_at(r)), next);
    if (next < R) atomicOr(AT(links, link_at(next)), kHasEarlier);
}
