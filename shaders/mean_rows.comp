// y[n,c] = mean of x[r,c] over the rows r of text n; 0 if it has none. One workgroup per text and block of W columns.
#version 450
#include "common.glsl"

TENSOR(MeanRows_x, readonly restrict, float, x);        // (R,C)
TENSOR(MeanRows_texts, readonly restrict, int, texts);  // (N,2)
TENSOR(MeanRows_y, writeonly restrict, float, y);       // (N,C)

void main() {
    const uint blocks = (p.C + W - 1) / W, n = group() / blocks, c = group() % blocks * W + gl_LocalInvocationIndex;
    if (n >= gathered_rows() || c >= p.C) return;
    const uint first = uint(AT(texts, 2 * n)), end = uint(AT(texts, 2 * n + 1));
    float sum = 0.0;
    for (uint r = first; r < end; ++r) sum += AT(x, r * p.C + c);
    AT(y, n * p.C + c) = first < end ? sum / float(end - first) : 0.0;
}
