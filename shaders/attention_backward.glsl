// With M the dropout factors, P = exp(q_t . k_s / sqrt(D) - lse_t) and own_t = dy_t . y_t:  dS = P ((dy_t . v_s) M - own_t),
// dq_t = sum_s dS k_s / sqrt(D). A workgroup computes W kRows queries of a head and leaves own for attention_backward_keys;
// D is the head size.
#include "heads.glsl"

ROWS(0, dy)              // (R,C)
ROWS(1, qkv)             // (R,3C)
ROWS(2, y)               // (R,C)
TENSOR(3, float, lse);   // (B,H,T)
RESULT(5, dqkv)          // (R,3C)
TENSOR(6, float, own);   // (B,H,T)

void main() {
    const Place at = place();
    if (at.unit >= p.B * p.H) return;
    const uint t0 = at.begin + gl_LocalInvocationIndex;
    const float scale = 1.0 / sqrt(float(D));
    vec4 query[kRows][kQuads], dyt[kRows][kQuads], sums[kRows][kQuads];
    float lse_t[kRows], own_t[kRows];
    for (uint a = 0; a < kRows; ++a) {
        const uint t = min(t0 + W * a, at.end - 1);
        lse_t[a] = AT(3, lse, at.unit * p.T + t);
        own_t[a] = 0.0;
        for (uint j = 0; j < kQuads; ++j) {
            query[a][j] = scale * QUAD(1, qkv, row_of(at, t), j);
            dyt[a][j] = QUAD(0, dy, row_of_y(at, t), j);
            own_t[a] += dot(dyt[a][j], QUAD(2, y, row_of_y(at, t), j));
            sums[a][j] = vec4(0.0);
        }
    }
    for (uint s = 0; s < at.end; ++s) {
        const uint key = row_of(at, s) + p.C, value = key + p.C;
        float score[kRows], dS[kRows];
        vec4 k[kQuads];
        for (uint a = 0; a < kRows; ++a) score[a] = dS[a] = 0.0;
        for (uint j = 0; j < kQuads; ++j) {
            k[j] = QUAD(1, qkv, key, j);
            const vec4 v = QUAD(1, qkv, value, j);
            for (uint a = 0; a < kRows; ++a) {
                score[a] += dot(query[a][j], k[j]);
                dS[a] += dot(dyt[a][j], v);
            }
        }
        for (uint a = 0; a < kRows; ++a) {
            const uint t = t0 + W * a;
            const float P = s <= t ? exp_of(score[a] - lse_t[a]) : 0.0;
            dS[a] = scale * P * (dS[a] * factor(at, t, s) - own_t[a]);
        }
        for (uint j = 0; j < kQuads; ++j) {
            const vec4 again = kHolds ? k[j] : QUAD(1, qkv, key, j);
            for (uint a = 0; a < kRows; ++a) sums[a][j] += dS[a] * again;
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint t = t0 + W * a;
        if (t >= at.end) continue;
        for (uint j = 0; j < kQuads; ++j) STORE_QUAD(5, dqkv, row_of(at, t), j, sums[a][j]);
        AT(6, own, at.unit * p.T + t) = own_t[a];
    }
}
