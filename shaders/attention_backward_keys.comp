// The other half of attention_backward:  dk_s = sum_t dS q_t / sqrt(D),  dv_s = sum_t P M dy_t. A workgroup computes W kRows
// keys; D is the head size. An invocation holds kRows D numbers each of key, value and dk for dk, of key and dv for dv:
// up to a head size of 64 these are 192 registers, but 256 for both, which GPUs lack. There one launch is for dk, one for dv.
#version 450
#include "common.glsl"
#include "heads.glsl"

ROWS(0, dy)      // (R,C)
ROWS(1, qkv)     // (R,3C)
RESULT(5, dqkv)  // (R,3C)
TENSOR(4, uvec4, records);

const bool kKeys = (kParts & 1) != 0, kValues = (kParts & 2) != 0;

vec4 key[kRows][kQuads], value[kRows][kQuads], dk[kRows][kQuads], dv[kRows][kQuads];

void add_query(Place at, uint t) {
    float PM[kRows], dS[kRows];
    for (uint a = 0; a < kRows; ++a) PM[a] = dS[a] = 0.0;
    for (uint j = 0; j < kQuads; ++j) {
        const vec4 query = QUAD(1, qkv, row_of(at, t), j), dyt = QUAD(0, dy, row_of_y(at, t), j);
        for (uint a = 0; a < kRows; ++a) {
            PM[a] += dot(key[a][j], query);
            if (kKeys) dS[a] += dot(value[a][j], dyt);
        }
    }
    uvec4 of_t;
    for (uint a = 0; a < kRows; ++a) {
        const uint s = at.own + W * a;
        if (a == 0 || kRows * W > 64) of_t = AT(4, records, record(at, t, min(at.begin + W * a, at.end - 1)));
        const float M = factor(of_t[2 + s / 32 % 2] >> s % 32);
        const float P = s <= t ? exp_of(PM[a] - uintBitsToFloat(of_t.x)) : 0.0;
        dS[a] = P * (dS[a] * M - uintBitsToFloat(of_t.y));
        PM[a] = P * M;
    }
    for (uint j = 0; j < kQuads; ++j) {
        const vec4 query = QUAD(1, qkv, row_of(at, t), j), dyt = QUAD(0, dy, row_of_y(at, t), j);
        for (uint a = 0; a < kRows; ++a) {
            if (kKeys) dk[a][j] = fma(vec4(dS[a]), query, dk[a][j]);
            if (kValues) dv[a][j] = fma(vec4(PM[a]), dyt, dv[a][j]);
        }
    }
}

void compute(Place at) {
    if (at.unit >= p.B * p.H || at.begin >= p.T) return;
    const float scale = 1.0 / sqrt(float(D));
    for (uint a = 0; a < kRows; ++a) {
        const uint mine = row_of(at, min(at.own + W * a, at.end - 1)) + p.C;
        for (uint j = 0; j < kQuads; ++j) {
            key[a][j] = scale * QUAD(1, qkv, mine, j);
            if (kKeys) value[a][j] = QUAD(1, qkv, mine + p.C, j);
            dk[a][j] = dv[a][j] = vec4(0.0);
        }
    }
    for (uint t = at.begin; t < p.T; ++t) add_query(at, t);
    for (uint a = 0; a < kRows; ++a) {
        const uint s = at.own + W * a;
        if (s >= at.end) continue;
        for (uint j = 0; j < kQuads; ++j) {
            if (kKeys) STORE_QUAD(5, dqkv, row_of(at, s) + p.C, j, scale * dk[a][j]);
            if (kValues) STORE_QUAD(5, dqkv, row_of(at, s) + 2 * p.C, j, dv[a][j]);
        }
    }
}

void main() {
    compute(place());
}
