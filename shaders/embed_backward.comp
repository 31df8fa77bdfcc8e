// dw[ids[r], c] += scale dropout(dy[r,c]) for the ids in [begin, end); dw is bound from row `begin` on. One workgroup per row r;
// the one of the first row with an id adds all rows with that id, in order.
#version 450
#include "common.glsl"
#include "embed_backward.glsl"

TENSOR(EmbedBackward_dy, readonly restrict, float, dy);  // (R,C)
TENSOR(kScratch, readonly restrict, uint, scratch);      // of dropout_mask, then links
TENSOR(EmbedBackward_dwte, restrict, float, dw);         // (N,C)

/// 0 or 1 / (1 - probability).
float mask_factor(uint i) {
    if (kDropout == 0) return 1.0;
    return (scratch_data[i / 32] >> i % 32 & 1u) != 0u ? 0.0 : 65536.0 / float(65536 - p.dropout);
}

void main() {
    const uint r = group(), R = live_rows();
    if (r >= R) return;
    const uint id = uint(AT(ids, r)), first = AT(scratch, link_at(r));
    if (first >= kHasEarlier || id < p.begin || id >= p.end) return;
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) {
        float sum = 0.0;
        for (uint q = r; q < R; q = AT(scratch, link_at(q)) & ~kHasEarlier)
            sum = fma(AT(dy, q * p.C + c), mask_factor(q * p.C + c), sum);
        AT(dw, (id - p.begin) * p.C + c) += p.scale * sum;
    }
}
