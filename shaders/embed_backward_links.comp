// What embed_backward needs first: of each row r the next row with the same id, R for none, and in kAgain whether an earlier row
// has it, too; the same for positions. One invocation per row; links are zeros before.
#version 450
#include "common.glsl"

TENSOR(1, int, ids);        // (R)
TENSOR(2, int, positions);  // (R)
TENSOR(7, uint, links);     // behind the mask

#include "embed_backward.glsl"

void link(uint table, uint r) {
    const uint R = p.B * p.T, row = table_row(table, r);
    uint next = r + 1;
    while (next < R && table_row(table, next) != row) ++next;
    atomicOr(links_data[link_at(table, r)], next);
    if (next < R) atomicOr(links_data[link_at(table, next)], kAgain);
}

void main() {
    const uint r = group() * W + gl_LocalInvocationIndex, R = p.B * p.T;
    if (r >= R) return;
    link(0, r);
    if (has(6)) link(1, r);
}
