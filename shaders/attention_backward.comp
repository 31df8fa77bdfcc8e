// With M the dropout factors, P = exp(q_t . k_s / sqrt(D) - lse_t) and own_t = dy_t . y_t:  dS = P ((dy_t . v_s) M - own_t),
// dq_t = sum_s dS k_s / sqrt(D). One invocation per query t, W queries of a head per workgroup; D is the head size. Leaves
// own for attention_backward_keys.
#version 450
#include "common.glsl"
#include "dropout.glsl"

TENSOR(0, float, dy);    // (R,C)
TENSOR(1, float, qkv);   // (R,3C)
TENSOR(2, float, y);     // (R,C)
TENSOR(3, float, lse);   // (B,H,T)
TENSOR(5, float, dqkv);  // (R,3C)
TENSOR(6, float, own);   // (B,H,T)

#include "heads.glsl"

void main() {
    const Place at = place();
    if (at.unit >= p.B * p.H) return;
    const uint last = min(at.t0 + W, p.T) - 1, t = at.t0 + gl_LocalInvocationIndex, mine = min(t, last), row = at.first + mine;
    const float scale = 1.0 / sqrt(float(D)), lse_t = AT(3, lse, at.unit * p.T + mine);
    vec4 query[kQuads], dyt[kQuads], sums[kQuads];
    float own_t = 0.0;
    for (uint j = 0; j < kQuads; ++j) {
        query[j] = scale * QUAD(1, qkv, row * 3 * p.C + at.column, j);
        dyt[j] = QUAD(0, dy, row * p.C + at.column, j);
        own_t += dot(dyt[j], QUAD(2, y, row * p.C + at.column, j));
        sums[j] = vec4(0.0);
    }
    for (uint s = 0; s <= last; ++s) {
        const uint key = (at.first + s) * 3 * p.C + p.C + at.column, value = key + p.C;
        float score = 0.0, dP = 0.0;
        for (uint j = 0; j < kQuads; ++j) {
            score += dot(query[j], QUAD(1, qkv, key, j));
            dP += dot(dyt[j], QUAD(1, qkv, value, j));
        }
        const float factor = dropout_factor((at.unit * p.T + t) * p.T + s);
        const float dS = s <= t ? scale * exp_of(score - lse_t) * (dP * factor - own_t) : 0.0;
        for (uint j = 0; j < kQuads; ++j) sums[j] += dS * QUAD(1, qkv, key, j);
    }
    if (t > last) return;
    for (uint j = 0; j < kQuads; ++j) STORE_QUAD(5, dqkv, row * 3 * p.C + at.column, j, sums[j]);
    AT(6, own, at.unit * p.T + t) = own_t;
}
