// P[t,s] = softmax_s(q_t . k_s / sqrt(D)) for s <= t,  y_t = sum_s dropout(P[t,s]) v_s,  lse[t] = the softmax's log-sum-exp,
// with the softmax of Milakov, Gimelshein 2018. A workgroup computes W kRows queries of a head; D is the head size.
#include "log.glsl"
#include "heads.glsl"

ROWS(0, qkv)            // (R,3C)
RESULT(5, y)           // (R,C)
TENSOR(6, float, lse);  // (B,H,T)

void main() {
    const Place at = place();
    if (at.unit >= p.B * p.H) return;
    const uint t0 = at.begin + gl_LocalInvocationIndex;
    const float scale = 1.0 / sqrt(float(D));
    vec4 query[kRows][kQuads], sums[kRows][kQuads];
    float largest[kRows], sum[kRows];
    for (uint a = 0; a < kRows; ++a) {
        for (uint j = 0; j < kQuads; ++j) {
            query[a][j] = scale * QUAD(0, qkv, row_of(at, min(t0 + W * a, at.end - 1)), j);
            sums[a][j] = vec4(0.0);
        }
        largest[a] = kLowest;
        sum[a] = 0.0;
    }
    for (uint s = 0; s < at.end; ++s) {
        const uint key = row_of(at, s) + p.C, value = key + p.C;
        float weight[kRows];
        for (uint a = 0; a < kRows; ++a) weight[a] = 0.0;
        for (uint j = 0; j < kQuads; ++j) {
            const vec4 k = QUAD(0, qkv, key, j);
            for (uint a = 0; a < kRows; ++a) weight[a] += dot(query[a][j], k);
        }
        float kept[kRows];
        for (uint a = 0; a < kRows; ++a) {
            const uint t = t0 + W * a;
            const float before = largest[a], score = s <= t ? weight[a] : kLowest;
            largest[a] = max(before, score);
            kept[a] = exp_of(before - largest[a]);
            weight[a] = s <= t ? exp_of(score - largest[a]) : 0.0;
            sum[a] = fma(sum[a], kept[a], weight[a]);
            weight[a] *= factor(at, t, s);
        }
        for (uint j = 0; j < kQuads; ++j) {
            const vec4 v = QUAD(0, qkv, value, j);
            for (uint a = 0; a < kRows; ++a) sums[a][j] = sums[a][j] * kept[a] + weight[a] * v;
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint t = t0 + W * a;
        if (t >= at.end) continue;
        for (uint j = 0; j < kQuads; ++j) STORE_QUAD(5, y, row_of_y(at, t), j, sums[a][j] / sum[a]);
        AT(6, lse, at.unit * p.T + t) = largest[a] + log_of(sum[a]);
    }
}
