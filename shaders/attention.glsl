// P[t,s] = softmax_s(q_t . k_s / sqrt(D)) for s <= t,  y_t = sum_s dropout(P[t,s]) v_s,  lse[t] = the softmax's log-sum-exp,
// with the softmax of Milakov, Gimelshein 2018 over kKeys keys after another. A workgroup computes W kRows queries; D is
// the head size.
#include "log.glsl"
#define ROWS_IN_FOURS 0x21u
#include "heads.glsl"

ROWS(0, qkv)            // (R,3C)
RESULT(5, y)           // (R,C)
TENSOR(6, float, lse);  // (B,H,T)
TENSOR(7, uint, mask);  // of dropout_mask

#include "drops.glsl"

const uint kKeys = 2;

vec4 query[kRows][kQuads], sums[kRows][kQuads];
float largest[kRows], sum[kRows];

/// Takes keys s to s + kKeys - 1, of which queries see those up to themselves; the lowest of bits[a] say what dropout does.
void attend_keys(Place at, uint s, uint bits[kRows]) {
    float weights[kKeys][kRows];
    for (uint i = 0; i < kKeys; ++i) {
        const uint key = row_of(at, min(s + i, at.end - 1)) + p.C;
        for (uint a = 0; a < kRows; ++a) weights[i][a] = 0.0;
        for (uint j = 0; j < kQuads; ++j) {
            const vec4 k = QUAD(0, qkv, key, j);
            for (uint a = 0; a < kRows; ++a) weights[i][a] += dot(query[a][j], k);
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint t = at.own + kStep * a;
        const float before = largest[a];
        for (uint i = 0; i < kKeys; ++i) largest[a] = s + i <= t ? max(largest[a], weights[i][a]) : largest[a];
        const float kept = exp_of(before - largest[a]);
        sum[a] *= kept;
        for (uint j = 0; j < kQuads; ++j) sums[a][j] *= kept;
        for (uint i = 0; i < kKeys; ++i) {
            const float weight = s + i <= t ? exp_of(weights[i][a] - largest[a]) : 0.0;
            sum[a] += weight;
            weights[i][a] = weight * factor(bits[a] >> i);
        }
    }
    for (uint i = 0; i < kKeys; ++i)
        for (uint j = 0; j < kQuads; ++j) {
            const vec4 v = QUAD(0, qkv, row_of(at, min(s + i, at.end - 1)) + 2 * p.C, j);
            for (uint a = 0; a < kRows; ++a) sums[a][j] = fma(vec4(weights[i][a]), v, sums[a][j]);
        }
}

void compute(Place at) {
    if (at.unit >= p.B * p.H || at.begin >= p.T) return;
    const float scale = 1.0 / sqrt(float(D));
    for (uint a = 0; a < kRows; ++a) {
        for (uint j = 0; j < kQuads; ++j) {
            query[a][j] = scale * QUAD(0, qkv, row_of(at, min(at.own + kStep * a, at.end - 1)), j);
            sums[a][j] = vec4(0.0);
        }
        largest[a] = kLowest;
        sum[a] = 0.0;
    }
    for (uint s32 = 0; s32 < at.end; s32 += 32) {
        uint bits[kRows];
        for (uint a = 0; a < kRows; ++a) bits[a] = drops(at, min(at.own + kStep * a, at.end - 1), s32);
        for (uint s = s32; s < min(s32 + 32, at.end); s += kKeys) {
            attend_keys(at, s, bits);
            for (uint a = 0; a < kRows; ++a) bits[a] >>= kKeys;
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint t = at.own + kStep * a;
        if (t >= at.end) continue;
        for (uint j = 0; j < kQuads; ++j) STORE_QUAD(5, y, row_of_y(at, t), j, sums[a][j] / sum[a]);
        AT(6, lse, at.unit * p.T + t) = largest[a] + log_of(sum[a]);
    }
}

void main() {
    for (uint part = 0; part < kTileRows / kRows; ++part) compute(place(part));
}
