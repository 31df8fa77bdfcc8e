// s[r,n] = scale sum_c a[r,c] b[n,c]; -infinity where row n of b is not in use. One workgroup per row r.
#version 450
#include "common.glsl"

TENSOR(Similarity_a, readonly restrict, float, a);   // (R,C)
TENSOR(Similarity_b, readonly restrict, float, b);   // (N,C)
TENSOR(Similarity_s, writeonly restrict, float, s);  // (R,N)

void main() {
    const uint r = group(), N = gathered_rows();
    if (r >= live_rows()) return;
    for (uint n = gl_LocalInvocationIndex; n < p.N; n += W) {
        float sum = 0.0;
        for (uint c = 0; n < N && c < p.C; ++c) sum = fma(AT(a, r * p.C + c), AT(b, n * p.C + c), sum);
        AT(s, r * p.N + n) = n < N ? p.scale * sum : uintBitsToFloat(0xFF800000u);
    }
}
