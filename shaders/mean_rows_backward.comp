// dx[r,c] = dy[n,c] / rows of the text n that r is a row of; 0 if there is none. One workgroup per row r.
#version 450
#include "common.glsl"

TENSOR(MeanRowsBackward_dy, readonly restrict, float, dy);      // (N,C)
TENSOR(MeanRowsBackward_texts, readonly restrict, int, texts);  // (N,2)
TENSOR(MeanRowsBackward_dx, restrict, float, dx);               // (R,C)

void main() {
    const uint r = group(), i = gl_LocalInvocationIndex, N = gathered_rows();
    if (r >= live_rows()) return;
    uint n = 0;  // the first text that ends behind r
    while (n < N && uint(AT(texts, 2 * n + 1)) <= r) ++n;
    const uint first = n < N ? uint(AT(texts, 2 * n)) : r + 1;
    if (first > r) {
        if (!adds(dx_operand))
            for (uint c = i; c < p.C; c += W) AT(dx, r * p.C + c) = 0.0;
        return;
    }
    const float rows = float(uint(AT(texts, 2 * n + 1)) - first);
    for (uint c = i; c < p.C; c += W) PUT(dx, r * p.C + c, AT(dy, n * p.C + c) / rows);
}
