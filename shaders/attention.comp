// P[t,s] = softmax_s(q_t . k_s / sqrt(D)) for s <= t,  y_t = sum_s dropout(P[t,s]) v_s,  lse[t] = the softmax's log-sum-exp,
// with the softmax of Milakov, Gimelshein 2018 over one block of keys after another. One invocation per query, W queries of
// a head per workgroup; D is the head size.
#version 450
#include "common.glsl"
#include "dropout.glsl"
#include "log.glsl"

TENSOR(0, float, qkv);  // (R,3C)
TENSOR(5, float, y);    // (R,C)
TENSOR(6, float, lse);  // (B,H,T)

#include "heads.glsl"

const uint kKeys = 4;

void main() {
    const Place at = place();
    if (at.unit >= p.B * p.H) return;
    const uint last = min(at.t0 + W, p.T) - 1, t = at.t0 + gl_LocalInvocationIndex, row = at.first + min(t, last);
    const float scale = 1.0 / sqrt(float(D));
    vec4 query[kQuads], sums[kQuads];
    for (uint j = 0; j < kQuads; ++j) {
        query[j] = scale * QUAD(0, qkv, row * 3 * p.C + at.column, j);
        sums[j] = vec4(0.0);
    }
    float largest = kLowest, sum = 0.0;
    for (uint s0 = 0; s0 <= last; s0 += kKeys) {
        float weights[kKeys], before = largest;
        for (uint i = 0; i < kKeys; ++i) {
            const uint key = (at.first + min(s0 + i, last)) * 3 * p.C + p.C + at.column;
            float score = 0.0;
            for (uint j = 0; j < kQuads; ++j) score += dot(query[j], QUAD(0, qkv, key, j));
            weights[i] = s0 + i <= t ? score : kLowest;
            largest = max(largest, weights[i]);
        }
        const float kept = s0 == 0 ? 0.0 : exp_of(before - largest);
        sum *= kept;
        for (uint j = 0; j < kQuads; ++j) sums[j] *= kept;
        for (uint i = 0; i < kKeys; ++i) {
            const uint value = (at.first + min(s0 + i, last)) * 3 * p.C + 2 * p.C + at.column;
            float weight = s0 + i <= t ? exp_of(weights[i] - largest) : 0.0;
            sum += weight;
            weight *= dropout_factor((at.unit * p.T + t) * p.T + s0 + i);
            for (uint j = 0; j < kQuads; ++j) sums[j] += weight * QUAD(0, qkv, value, j);
        }
    }
    if (t > last) return;
    for (uint j = 0; j < kQuads; ++j) STORE_QUAD(5, y, row * p.C + at.column, j, sums[j] / sum);
    AT(6, lse, at.unit * p.T + t) = largest + log_of(sum);
}
