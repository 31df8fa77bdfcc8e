// y[r,c] = dropout(scale wte[ids[r], c] + wpe[positions[r], c] + wse[segments[r], c]) for the rows whose id is in [begin, end); wte
// is bound from row `begin` on. One workgroup per row.
#version 450
#include "common.glsl"
#include "dropout.glsl"

TENSOR(Embed_ids, readonly restrict, int, ids);              // (R)
TENSOR(Embed_positions, readonly restrict, int, positions);  // (R)
TENSOR(Embed_segments, readonly restrict, int, segments);    // (R)
TENSOR(Embed_wte, readonly restrict, uint, wte);             // (V,C)
TENSOR(Embed_wpe, readonly restrict, uint, wpe);             // (S,C)
TENSOR(Embed_wse, readonly restrict, uint, wse);             // (L,C)
TENSOR(Embed_y, writeonly restrict, float, y);               // (R,C)

#define NUMBER wte_number
#define RUN wte_run
#define DATA(i) wte_data[i]
#include "number.glsl"
#define NUMBER wpe_number
#define RUN wpe_run
#define DATA(i) wpe_data[i]
#include "number.glsl"
#define NUMBER wse_number
#define RUN wse_run
#define DATA(i) wse_data[i]
#include "number.glsl"

#define NUMBER(name, i)                                                                                   \
    (in_blocks(TYPE(name)) ? number_of(TYPE(name), name##_run(TYPE(name), SHIFT(name), (i) / 8), (i) % 8) \
                           : name##_number(TYPE(name), SHIFT(name), i))

void main() {
    const uint r = group();
    if (r >= live_rows()) return;
    const uint id = uint(AT(ids, r));
    if (id < p.begin || id >= p.end) return;
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) {
        float x = p.scale * NUMBER(wte, (id - p.begin) * p.C + c);
        if (HAS(wpe)) x += NUMBER(wpe, uint(AT(positions, r)) * p.C + c);
        if (HAS(wse)) x += NUMBER(wse, uint(AT(segments, r)) * p.C + c);
        AT(y, r * p.C + c) = x * dropout_factor(r * p.C + c);
    }
}
