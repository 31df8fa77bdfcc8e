// gemm() of linear_texels.glsl.
void gemm(uint I, uint J, uint K) {
    const uint t = gl_LocalInvocationIndex;
    const uint i0 = (gl_WorkGroupID.y * (W / 2) + t / 2) * kSide, j0 = (gl_WorkGroupID.x * 2 + t % 2) * kSide;
    vec4 sums[kSide][kAcross];
    float row_sums[kSide];
    [[unroll]] for (uint a = 0; a < kSide; ++a) {
        row_sums[a] = 0.0;
        [[unroll]] for (uint b = 0; b < kAcross; ++b) sums[a][b] = vec4(0.0);
    }
    for (uint k0 = 0; k0 < K; k0 += 4) {
        vec4 left[kSide], right[4][kAcross];  // numbers k0 to k0 + 3 of a row, of four columns number k0 + k
        if (LEFT_ROWS)
            [[unroll]] for (uint a = 0; a < kSide; ++a) left[a] = LEFT(min(i0 + a, I - 1), k0);
        else
            [[unroll]] for (uint k = 0; k < 4; ++k)
                [[unroll]] for (uint b = 0; b < kAcross; ++b) {
                    const vec4 four = k0 + k < K ? LEFT(min(k0 + k, K - 1), i0 + 4 * b) : vec4(0.0);
                    [[unroll]] for (uint q = 0; q < 4; ++q) left[4 * b + q][k] = four[q];
                }
        if (RIGHT_ROWS)
            [[unroll]] for (uint b = 0; b < kSide; ++b) {
                const vec4 four = RIGHT(min(j0 + b, J - 1), k0);
                [[unroll]] for (uint k = 0; k < 4; ++k) right[k][b / 4][b % 4] = four[k];
            }
        else
            [[unroll]] for (uint k = 0; k < 4; ++k)
                [[unroll]] for (uint b = 0; b < kAcross; ++b) right[k][b] = RIGHT(min(k0 + k, K - 1), j0 + 4 * b);
        [[unroll]] for (uint a = 0; a < kSide; ++a)
            [[unroll]] for (uint b = 0; b < kAcross; ++b)
                [[unroll]] for (uint k = 0; k < 4; ++k) sums[a][b] = fma(vec4(left[a][k]), right[k][b], sums[a][b]);
#ifdef ROW_SUM
        [[unroll]] for (uint a = 0; a < kSide; ++a) row_sums[a] += left[a].x + left[a].y + left[a].z + left[a].w;
#endif
    }
    [[unroll]] for (uint a = 0; a < kSide; ++a) {
        const uint i = i0 + a;
        if (i < I)
            [[unroll]] for (uint b = 0; b < kAcross; ++b)
                if (j0 + 4 * b < J) STORE(i, j0 + 4 * b, sums[a][b]);
#ifdef ROW_SUM
        if (i < I && j0 == 0) ROW_SUM(i, row_sums[a]);
#endif
    }
}
