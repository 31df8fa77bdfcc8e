// dwte[ids[r], c] += dropout(dy[r,c]) for the ids in [begin, end); dwte is bound from row `begin` on. Where that is 0, also
// dwpe[positions[r], c] += dropout(dy[r,c]). One workgroup per row r; that of the first row with an id adds all rows with this
// id, in order.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, float, dy);       // (R,C)
TENSOR(1, readonly restrict, int, ids);        // (R)
TENSOR(2, readonly restrict, int, positions);  // (R)
TENSOR(4, readonly restrict, uint, scratch);   // of dropout_mask, then links
TENSOR(5, restrict, float, dwte);              // (V,C)
TENSOR(6, restrict, float, dwpe);              // (S,C)

#include "embed_backward.glsl"

/// 0 or 1 / (1 - probability).
float mask_factor(uint i) {
    if (kDropout == 0) return 1.0;
    return (scratch_data[i / 32] >> i % 32 & 1u) != 0u ? 0.0 : 65536.0 / float(65536 - p.dropout);
}

void add_rows(uint table, uint r) {
    const uint R = p.B * p.T, row = table_row(table, r), first = scratch_data[link_at(table, r)];
    if (first >= kHasEarlier || table == 0 && (row < p.begin || row >= p.end)) return;
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) {
        float sum = 0.0;
        for (uint q = r; q < R; q = scratch_data[link_at(table, q)] & ~kHasEarlier)
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
