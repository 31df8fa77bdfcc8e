// The product behind linear and its gradients for devices that are CPUs, of tensors of texels.glsl: STORE(i, j, sums over
// k < K of left times right for columns j to j + 3) for i < I, j < J. Every invocation reads for itself what it needs for
// D x 4 kColumns sums; those of a workgroup lie side by side, or from D = 8 on in rows of sixteen columns. LEFT_ROWS:
// LEFT(i,k) has the numbers k to k + 3, otherwise LEFT(k,i) has i to i + 3; the same for RIGHT with j. Where ROW_SUM(i, sum) is
// defined, it gets the sums over k < K of left.
const uint kAcross = D >= 8 ? 4 / kColumns : W;

void gemm(uint I, uint J, uint K) {
    const uint t = gl_LocalInvocationIndex;
    const uint i0 = (gl_WorkGroupID.y * (W / kAcross) + t / kAcross) * D;
    const uint j0 = (gl_WorkGroupID.x * kAcross + t % kAcross) * 4 * kColumns;
    vec4 sums[D][kColumns];
    float row_sums[D];
    for (uint a = 0; a < D; ++a) {
        row_sums[a] = 0.0;
        for (uint b = 0; b < kColumns; ++b) sums[a][b] = vec4(0.0);
    }
    for (uint k0 = 0; k0 < K; k0 += 4) {
        vec4 left[D], right[4][kColumns];  // numbers k0 to k0 + 3 of a row, of four columns number k0 + k
        if (LEFT_ROWS)
            for (uint a = 0; a < D; ++a) left[a] = LEFT(min(i0 + a, I - 1), k0);
        else
            for (uint k = 0; k < 4; ++k)
                for (uint b = 0; b < D / 4; ++b) {
                    const vec4 four = k0 + k < K ? LEFT(min(k0 + k, K - 1), i0 + 4 * b) : vec4(0.0);
                    for (uint q = 0; q < 4; ++q) left[4 * b + q][k] = four[q];
                }
        if (RIGHT_ROWS)
            for (uint b = 0; b < 4 * kColumns; ++b) {
                const vec4 four = RIGHT(min(j0 + b, J - 1), k0);
                for (uint k = 0; k < 4; ++k) right[k][b / 4][b % 4] = four[k];
            }
        else
            for (uint k = 0; k < 4; ++k)
                for (uint b = 0; b < kColumns; ++b) right[k][b] = RIGHT(min(k0 + k, K - 1), j0 + 4 * b);
        for (uint a = 0; a < D; ++a)
            for (uint b = 0; b < kColumns; ++b)
                for (uint k = 0; k < 4; ++k) sums[a][b] = fma(vec4(left[a][k]), right[k][b], sums[a][b]);
#ifdef ROW_SUM
        for (uint a = 0; a < D; ++a) row_sums[a] += left[a].x + left[a].y + left[a].z + left[a].w;
#endif
    }
    for (uint a = 0; a < D; ++a) {
        const uint i = i0 + a;
        if (i < I)
            for (uint b = 0; b < kColumns; ++b)
                if (j0 + 4 * b < J) STORE(i, j0 + 4 * b, sums[a][b]);
#ifdef ROW_SUM
        if (i < I && j0 == 0) ROW_SUM(i, row_sums[a]);
#endif
    }
}
