// P[t,s] = softmax_s(q_t . k_s / sqrt(D)) for s <= t,  y_t = sum_s dropout(P[t,s]) v_s,  lse[t] = the softmax's log-sum-exp,
// with the softmax of Milakov, Gimelshein 2018 over kKeys keys after another. A workgroup computes W kRows queries; D is
// the head size. Keys and values are those of qkv; where a shader defines CACHED, what attention_cached_rows.glsl says.
#ifdef CACHED
#include "attention_cached_rows.glsl"
#else
#include "log.glsl"
#include "heads.glsl"

ROWS(0, qkv)            // (R,3C)
RESULT(5, y)           // (R,C)
TENSOR(6, float, lse);  // (B,H,T)
TENSOR(7, uint, mask);  // of dropout_mask

#include "drops.glsl"

#define KEY(at, s, j) QUAD(0, qkv, row_of(at, s) + p.C, j)
#define VALUE(at, s, j) QUAD(0, qkv, row_of(at, s) + 2 * p.C, j)

const uint kBlock = 32;  // keys of a word of the mask

uint last_key(Place at, uint t) { return t; }
uint keys_of(Place at) { return at.end; }
void load(Place at, uint s, uint seen) {}
void store_lse(Place at, uint t, float largest, float sum) { AT(6, lse, at.unit * p.T + t) = largest + log_of(sum); }
#endif

const uint kKeys = 2;

vec4 query[kRows][kQuads], sums[kRows][kQuads];
float largest[kRows], sum[kRows];
uint last[kRows];  // keys that they see

/// Takes keys s to s + kKeys - 1, of which there are those before `seen`; the lowest of bits[a] say what dropout does.
void attend_keys(Place at, uint s, uint seen, uint bits[kRows]) {
    float weights[kKeys][kRows];
    for (uint i = 0; i < kKeys; ++i) {
        for (uint a = 0; a < kRows; ++a) weights[i][a] = 0.0;
        for (uint j = 0; j < kQuads; ++j) {
            const vec4 k = KEY(at, min(s + i, seen - 1), j);
            for (uint a = 0; a < kRows; ++a)
                for (uint q = 0; q < 4; ++q) weights[i][a] = fma(query[a][j][q], k[q], weights[i][a]);
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const float before = largest[a];
        for (uint i = 0; i < kKeys; ++i) largest[a] = s + i <= last[a] ? max(largest[a], weights[i][a]) : largest[a];
        const float kept = exp_of(before - largest[a]);
        sum[a] *= kept;
        for (uint j = 0; j < kQuads; ++j) sums[a][j] *= kept;
        for (uint i = 0; i < kKeys; ++i) {
            const float weight = s + i <= last[a] ? exp_of(weights[i][a] - largest[a]) : 0.0;
            sum[a] += weight;
            weights[i][a] = weight * factor(bits[a] >> i);
        }
    }
    for (uint i = 0; i < kKeys; ++i)
        for (uint j = 0; j < kQuads; ++j) {
            const vec4 v = VALUE(at, min(s + i, seen - 1), j);
            for (uint a = 0; a < kRows; ++a) sums[a][j] = fma(vec4(weights[i][a]), v, sums[a][j]);
        }
}

void compute(Place at) {
    if (at.unit >= p.B * p.H || at.begin >= p.T) return;
    const float scale = 1.0 / sqrt(float(D));
    for (uint a = 0; a < kRows; ++a) {
        const uint t = min(at.own + W * a, at.end - 1);
        last[a] = last_key(at, t);
        for (uint j = 0; j < kQuads; ++j) {
            query[a][j] = scale * QUAD(0, qkv, row_of(at, t), j);
            sums[a][j] = vec4(0.0);
        }
        largest[a] = kLowest;
        sum[a] = 0.0;
    }
    const uint seen = keys_of(at);
    for (uint s0 = 0; s0 < seen; s0 += kBlock) {
        load(at, s0, seen);
        uint bits[kRows];
        for (uint a = 0; a < kRows; ++a) bits[a] = drops(at, min(at.own + W * a, at.end - 1), s0);
        for (uint s = s0; s < min(s0 + kBlock, seen); s += kKeys) {
            attend_keys(at, s, seen, bits);
            for (uint a = 0; a < kRows; ++a) bits[a] >>= kKeys;
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint t = at.own + W * a;
        if (t >= at.end) continue;
        for (uint j = 0; j < kQuads; ++j) STORE_QUAD(5, y, row_of_y(at, t), j, sums[a][j] / sum[a]);
        store_lse(at, t, largest[a], sum[a]);
    }
}

void main() {
#ifdef CACHED
    p.T = run_rows() / p.B;
#endif
    compute(place());
}
