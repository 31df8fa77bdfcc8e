// The other half of attention_backward:  dk_s = sum_t dS q_t / sqrt(D),  dv_s = sum_t P M dy_t. One invocation per key s, W
// keys of a head per workgroup; D is the head size.
#version 450
#include "common.glsl"
#include "dropout.glsl"

TENSOR(0, float, dy);    // (R,C)
TENSOR(1, float, qkv);   // (R,3C)
TENSOR(3, float, lse);   // (B,H,T)
TENSOR(4, float, own);   // (B,H,T)
TENSOR(5, float, dqkv);  // (R,3C)

#include "heads.glsl"

void main() {
    const Place at = place();
    if (at.unit >= p.B * p.H) return;
    const uint s = at.t0 + gl_LocalInvocationIndex, mine = (at.first + min(s, p.T - 1)) * 3 * p.C + p.C + at.column;
    const float scale = 1.0 / sqrt(float(D));
    vec4 key[kQuads], value[kQuads], dk[kQuads], dv[kQuads];
    for (uint j = 0; j < kQuads; ++j) {
        key[j] = scale * QUAD(1, qkv, mine, j);
        value[j] = QUAD(1, qkv, mine + p.C, j);
        dk[j] = dv[j] = vec4(0.0);
    }
    for (uint t = at.t0; t < p.T; ++t) {
        const uint query = (at.first + t) * 3 * p.C + at.column, dyt = (at.first + t) * p.C + at.column;
        float score = 0.0, dP = 0.0;
        for (uint j = 0; j < kQuads; ++j) {
            score += dot(key[j], QUAD(1, qkv, query, j));
            dP += dot(value[j], QUAD(0, dy, dyt, j));
        }
        const uint statistics = at.unit * p.T + t;
        const float factor = dropout_factor(statistics * p.T + s);
        const float P = s <= t ? exp_of(score - AT(3, lse, statistics)) : 0.0;
        const float dS = P * (dP * factor - AT(4, own, statistics)), weight = P * factor;
        for (uint j = 0; j < kQuads; ++j) {
            dk[j] += dS * QUAD(1, qkv, query, j);
            dv[j] += weight * QUAD(0, dy, dyt, j);
        }
    }
    if (s >= p.T) return;
    for (uint j = 0; j < kQuads; ++j) {
        STORE_QUAD(5, dqkv, mine, j, scale * dk[j]);
        STORE_QUAD(5, dqkv, mine + p.C, j, dv[j]);
    }
}
