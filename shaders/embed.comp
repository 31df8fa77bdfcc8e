// y[r,c] = dropout(wte[ids[r], c] + wpe[positions[r], c]) for the rows whose id is in [begin, end); wte is bound from row
// `begin` on. One workgroup per row.
#version 450
#include "common.glsl"
#include "dropout.glsl"

TENSOR(0, readonly restrict, int, ids);        // (R)
TENSOR(1, readonly restrict, int, positions);  // (R)
TENSOR(2, readonly restrict, uint, wte);       // (V,C)
TENSOR(3, readonly restrict, uint, wpe);       // (S,C)
TENSOR(5, writeonly restrict, float, y);       // (R,C)

#define NUMBER wte_number
#define RUN wte_run
#define DATA(i) wte_data[i]
#include "number.glsl"
#define NUMBER wpe_number
#define RUN wpe_run
#define DATA(i) wpe_data[i]
#include "number.glsl"

#define NUMBER(name, type, start, i) \
    (in_blocks(type) ? number_of(type, name##_run(type, start, (i) / 8), (i) % 8) : name##_number(type, start, i))

void main() {
    const uint r = group();
    if (r >= run_rows()) return;
    const uint id = uint(AT(0, ids, r));
    if (id < p.begin || id >= p.end) return;
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) {
        float x = NUMBER(wte, kType, p.shift[2], (id - p.begin) * p.C + c);
        if (has(3)) x += NUMBER(wpe, kPositionType, p.shift[3], uint(AT(1, positions, r)) * p.C + c);
        AT(5, y, r * p.C + c) = x * dropout_factor(r * p.C + c);
    }
}
