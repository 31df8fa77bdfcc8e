// One side of da[r,c] = scale sum_n ds[r,n] b[n,c],  db[n,c] = scale sum_r ds[r,n] a[r,c], over the rows in use: D is 0 for da, 1
// for db, for which a is bound as `others` and db as `result`. One workgroup per row of the result and block of W columns.
#version 450
#include "common.glsl"

TENSOR(SimilarityBackward_ds, readonly restrict, float, ds);     // (R,N)
TENSOR(SimilarityBackward_b, readonly restrict, float, others);  // (N,C) or (R,C)
TENSOR(SimilarityBackward_da, restrict, float, result);             // (R,C) or (N,C)

void main() {
    const uint blocks = (p.C + W - 1) / W, row = group() / blocks, c = group() % blocks * W + gl_LocalInvocationIndex;
    const uint a_rows = live_rows(), b_rows = gathered_rows();
    const bool of_b = D == 1;
    if (row >= (of_b ? b_rows : a_rows) || c >= p.C) return;
    const uint count = of_b ? a_rows : b_rows, at = of_b ? row : row * p.N, stride = of_b ? p.N : 1;
    float sum = 0.0;
    for (uint i = 0; i < count; ++i) sum = fma(AT(ds, at + i * stride), AT(others, i * p.C + c), sum);
    PUT(result, row * p.C + c, p.scale * sum);
}
