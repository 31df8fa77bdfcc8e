// Before embed_backward, on links that are 0: the link of each row r is the next row with the same id, or R. Sets kHasEarlier in
// the links of those next rows. The same for positions. One invocation per row.
#version 450
#include "common.glsl"

TENSOR(1, readonly restrict, int, ids);        // (R)
TENSOR(2, readonly restrict, int, positions);  // (R)
TENSOR(7, restrict, uint, links);              // behind the mask

#include "embed_backward.glsl"

void link(uint table, uint r) {
    const uint R = p.B * p.T, row = table_row(table, r);
    uint next = R;
    for (uint q = R - 1; q > group() * W; --q)  // the same rows in the whole workgroup, which reads each of them once
        next = mix(next, q, all(bvec2(q > r, table_row(table, q) == row)));
    atomicOr(links_data[link_at(table, r)], next);
    if (next < R) atomicOr(links_data[link_at(table, next)], kHasEarlier);
}

void main() {
    const uint r = group() * W + gl_LocalInvocationIndex;
    if (r >= p.B * p.T) return;
    link(0, r);
    if (has(6)) link(1, r);
}
