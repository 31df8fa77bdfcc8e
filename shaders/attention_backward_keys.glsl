// The other half of attention_backward:  dk_s = sum_t dS q_t / sqrt(D),  dv_s = sum_t P M dy_t. A workgroup computes W kRows
// keys of a head; D is the head size. An invocation holds kRows D numbers each of key, value and dk for dk, of key and dv for dv:
// up to a head size of 64 these are 192 registers, but 256 for both, which GPUs lack. There one launch is for dk, one for dv.
#include "heads.glsl"

ROWS(0, dy)              // (R,C)
ROWS(1, qkv)             // (R,3C)
TENSOR(3, float, lse);   // (B,H,T)
TENSOR(4, float, own);   // (B,H,T)
RESULT(5, dqkv)          // (R,3C)

const bool kKeys = (kParts & 1) != 0, kValues = (kParts & 2) != 0;

void main() {
    const Place at = place();
    if (at.unit >= p.B * p.H) return;
    const uint s0 = at.begin + gl_LocalInvocationIndex;
    const float scale = 1.0 / sqrt(float(D));
    vec4 key[kRows][kQuads], value[kRows][kQuads], dk[kRows][kQuads], dv[kRows][kQuads];
    for (uint a = 0; a < kRows; ++a) {
        const uint mine = row_of(at, min(s0 + W * a, at.end - 1)) + p.C;
        for (uint j = 0; j < kQuads; ++j) {
            key[a][j] = scale * QUAD(1, qkv, mine, j);
            if (kKeys) value[a][j] = QUAD(1, qkv, mine + p.C, j);
            dk[a][j] = dv[a][j] = vec4(0.0);
        }
    }
    for (uint t = at.begin; t < p.T; ++t) {
        const uint row = at.unit * p.T + t;
        vec4 query[kQuads], dyt[kQuads];
        float score[kRows], dS[kRows];
        for (uint a = 0; a < kRows; ++a) score[a] = dS[a] = 0.0;
        for (uint j = 0; j < kQuads; ++j) {
            query[j] = QUAD(1, qkv, row_of(at, t), j);
            dyt[j] = QUAD(0, dy, row_of_y(at, t), j);
            for (uint a = 0; a < kRows; ++a) {
                score[a] += dot(key[a][j], query[j]);
                if (kKeys) dS[a] += dot(value[a][j], dyt[j]);
            }
        }
        const float lse_t = AT(3, lse, row), own_t = AT(4, own, row);
        for (uint a = 0; a < kRows; ++a) {
            const uint s = s0 + W * a;
            const float M = factor(at, t, s), P = s <= t ? exp_of(score[a] - lse_t) : 0.0;
            dS[a] = P * (dS[a] * M - own_t);
            score[a] = P * M;
        }
        for (uint j = 0; j < kQuads; ++j) {
            const vec4 q = kHolds ? query[j] : QUAD(1, qkv, row_of(at, t), j);
            const vec4 d = kHolds ? dyt[j] : QUAD(0, dy, row_of_y(at, t), j);
            for (uint a = 0; a < kRows; ++a) {
                if (kKeys) dk[a][j] += dS[a] * q;
                if (kValues) dv[a][j] += score[a] * d;
            }
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint s = s0 + W * a;
        if (s >= at.end) continue;
        for (uint j = 0; j < kQuads; ++j) {
            if (kKeys) STORE_QUAD(5, dqkv, row_of(at, s) + p.C, j, scale * dk[a][j]);
            if (kValues) STORE_QUAD(5, dqkv, row_of(at, s) + 2 * p.C, j, dv[a][j]);
        }
    }
}
