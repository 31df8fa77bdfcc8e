// dwte[ids[r], c] += dropout(dy[r,c]) for the ids in [begin, end); dwte is bound from row `begin` on. Where that is 0, also
// dwpe[positions[r], c] += dropout(dy[r,c]). One workgroup per row r; that of the first row with an id adds up all that have
// it, in order.
#version 450
#include "common.glsl"

TENSOR(0, float, dy);       // (R,C)
TENSOR(1, int, ids);        // (R)
TENSOR(2, int, positions);  // (R)
TENSOR(4, uint, mask);      // of dropout_mask, and links
TENSOR(5, float, dwte);     // (V,C)
TENSOR(6, float, dwpe);     // (S,C)

#include "embed_backward.glsl"
#include "masked.glsl"

void add_rows(uint table, uint r) {
    const uint R = p.B * p.T, row = table_row(table, r), first = mask_data[link_at(table, r)];
    if (first >= kAgain || table == 0 && (row < p.begin || row >= p.end)) return;
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) {
        float sum = 0.0;
        for (uint q = r; q < R; q = mask_data[link_at(table, q)] & ~kAgain)
            sum = fma(AT(0, dy, q * p.C + c), mask_factor(q * p.C + c), sum);
        if (table == 0)
            AT(5, dwte, (row - p.begin) * p.C + c) += sum;
        else
            AT(6, dwpe, row * p.C + c) += sum;
    }
}

void main() {
    if (group() >= p.B * p.T) return;
    add_rows(0, group());
    if (p.begin == 0 && has(6)) add_rows(1, group());
}
