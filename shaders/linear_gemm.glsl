// The matrix product of linear and its gradients: calls STORE(i, j, sums, J - j) for all i < I and even j < J, where `sums` are
// sum_k LEFT(i,k) RIGHT(k,j) over k < K for columns j and j + 1. A workgroup of 8 x 8 or 16 x 16 invocations computes a tile, each
// invocation D x D numbers of it, in pairs of columns. LEFT_ROWS, RIGHT_ROWS: whether memory is contiguous along k, or else along
// i or j. If ROW_SUM is defined, calls ROW_SUM(i, sum_k LEFT(i,k)). If RIGHT_RUNS is defined and true, RIGHT_RUN(k,j) is RIGHT for
// the eight numbers that are contiguous in memory from there on, and all rows are whole runs of eight.
const uint kSide = W < 256 ? 8 : 16, kTile = kSide * D, kDepth = 16;

shared float left_tile[kDepth][kTile + 1], right_tile[kDepth][kTile + 1];

/// In the tile, column b of an invocation in column tj of the workgroup.
uint column(uint tj, uint b) { return (b / 2 * kSide + tj) * 2 + b % 2; }

#ifdef RIGHT_RUNS
void load_runs(uint t, uint k0, uint j0, uint J, uint K) {
    const uint k_step = RIGHT_ROWS ? 1 : 0, j_step = 1 - k_step, across = (RIGHT_ROWS ? kDepth : kTile) / 8;
    for (uint n = t; n < kTile * kDepth / 8; n += W) {
        const uint k = RIGHT_ROWS ? n % across * 8 : n / across, dj = RIGHT_ROWS ? n / across : n % across * 8;
        const vec4 run[2] = RIGHT_RUN(min(k0 + k, K - 1), min(j0 + dj, J - 1));
        for (uint q = 0; q < 8; ++q)
            right_tile[k + q * k_step][dj + q * j_step] = only_if(k0 + k < K, run[q / 4][q % 4]);
    }
}
#endif

void gemm(uint I, uint J, uint K) {
    const uint t = gl_LocalInvocationIndex, tj = t % kSide, ti = t / kSide;
    const uint i0 = gl_WorkGroupID.y * kTile, j0 = gl_WorkGroupID.x * kTile;
    if (i0 >= I) return;
    float sums[D][D], row_sums[D];
    for (uint a = 0; a < D; ++a) row_sums[a] = 0.0;
    for (uint a = 0; a < D; ++a)
        for (uint b = 0; b < D; ++b) sums[a][b] = 0.0;
    for (uint k0 = 0; k0 < K; k0 += kDepth) {
        barrier();
        for (uint n = t; n < kTile * kDepth; n += W) {
            const uint left_k = LEFT_ROWS ? n % kDepth : n / kTile, di = LEFT_ROWS ? n / kDepth : n % kTile;
            const uint right_k = RIGHT_ROWS ? n % kDepth : n / kTile, dj = RIGHT_ROWS ? n / kDepth : n % kTile;
            left_tile[left_k][di] = i0 + di < I && k0 + left_k < K ? LEFT(i0 + di, k0 + left_k) : 0.0;
#ifdef RIGHT_RUNS
            if (RIGHT_RUNS) continue;
#endif
            right_tile[right_k][dj] = j0 + dj < J && k0 + right_k < K ? RIGHT(k0 + right_k, j0 + dj) : 0.0;
        }
#ifdef RIGHT_RUNS
        if (RIGHT_RUNS) load_runs(t, k0, j0, J, K);
#endif
        barrier();
        for (uint k = 0; k < kDepth; ++k) {
            float left[D], right[D];
            for (uint a = 0; a < D; ++a) left[a] = left_tile[k][ti + a * kSide];
            for (uint b = 0; b < D; ++b) right[b] = right_tile[k][column(tj, b)];
            for (uint a = 0; a < D; ++a)
                for (uint b = 0; b < D; ++b) sums[a][b] = fma(left[a], right[b], sums[a][b]);
#ifdef ROW_SUM
            for (uint a = 0; a < D; ++a) row_sums[a] += left[a];
#endif
        }
    }
    for (uint a = 0; a < D; ++a)
        for (uint b = 0; b < D; b += 2) {
            const uint i = i0 + ti + a * kSide, j = j0 + column(tj, b);
            if (i < I && j < J) STORE(i, j, vec2(sums[a][b], sums[a][b + 1]), J - j);
        }
#ifdef ROW_SUM
    if (j0 + tj == 0)
        for (uint a = 0; a < D; ++a)
            if (i0 + ti + a * kSide < I) ROW_SUM(i0 + ti + a * kSide, row_sums[a]);
#endif
}
