// What embed_backward needs first: of each row r the next row with the same id, R for none, and in kAgain whether an earlier row
// has it, too; the same for positions. One invocation per row.
#version 450
#include "common.glsl"

TENSOR(1, int, ids);        // (R)
TENSOR(2, int, positions);  // (R)
TENSOR(7, uint, links);     // (2,R)

#include "embed_backward.glsl"

uint link(uint table, uint r) {
    const uint R = p.B * p.T, row = table_row(table, r);
    uint next = r + 1, before = r;
    while (next < R && table_row(table, next) != row) ++next;
    while (before > 0 && table_row(table, before - 1) != row) --before;
    return next | (before > 0 ? kAgain : 0);
}

void main() {
    const uint r = group() * W + gl_LocalInvocationIndex, R = p.B * p.T;
    if (r >= R) return;
    AT(7, links, r) = link(0, r);
    if (has(6)) AT(7, links, R + r) = link(1, r);
}
