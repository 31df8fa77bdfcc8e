// The other half of attention_backward:  dk_s = sum_t dS q_t / sqrt(D), or where kPart is 1  dv_s = sum_t P M dy_t. A workgroup
// computes W kRows keys; D is the head size. One launch for both would need 256 registers for kRows D numbers each of key,
// value, dk and dv, more than GPUs have; dk alone takes 192.
#version 450
#include "common.glsl"
#include "heads.glsl"

ACTIVATION_IN(0, readonly restrict, dy)        // (R,C)
ACTIVATION_IN(1, readonly restrict, qkv)       // (R,3C)
TENSOR(4, readonly restrict, uvec4, records);  // of attention_backward
ACTIVATION_OUT(5, writeonly restrict, dqkv)    // (R,3C)

const bool kValues = kPart == 1;

vec4 key[kRows][kVec4s], value[kRows][kVec4s], sums[kRows][kVec4s];

void add_query(Place at, uint t) {
    float weight[kRows], dS[kRows];
    for (uint a = 0; a < kRows; ++a) weight[a] = dS[a] = 0.0;
    for (uint j = 0; j < kVec4s; ++j) {
        const vec4 query = GET_HEAD(qkv, row_of(at, t), j);
        const vec4 dyt = kValues ? vec4(0.0) : GET_HEAD(dy, row_of_y(at, t), j);
        for (uint a = 0; a < kRows; ++a) {
            weight[a] += dot(key[a][j], query);
            if (!kValues) dS[a] += dot(value[a][j], dyt);
        }
    }
    uvec4 of_t;
    for (uint a = 0; a < kRows; ++a) {
        const uint s = at.own + W * a;
        if (a == 0 || kRows * W > 64) of_t = AT(4, records, record(at, t, min(at.begin + W * a, at.end - 1)));
        const float M = factor(of_t[2 + s / 32 % 2] >> s % 32);
        const float P = s <= t ? exp_of(weight[a] - uintBitsToFloat(of_t.x)) : 0.0;
        weight[a] = kValues ? P * M : P * (dS[a] * M - uintBitsToFloat(of_t.y));
    }
    for (uint j = 0; j < kVec4s; ++j) {
        const vec4 row = kValues ? GET_HEAD(dy, row_of_y(at, t), j) : GET_HEAD(qkv, row_of(at, t), j);
        for (uint a = 0; a < kRows; ++a) sums[a][j] = fma(vec4(weight[a]), row, sums[a][j]);
    }
}

void main() {
    const Place at = place(p.T);
    if (!is_there(at)) return;
    const float scale = 1.0 / sqrt(float(D));
    for (uint a = 0; a < kRows; ++a) {
        const uint mine = row_of(at, min(at.own + W * a, at.end - 1)) + p.C;
        for (uint j = 0; j < kVec4s; ++j) {
            key[a][j] = scale * GET_HEAD(qkv, mine, j);
            if (!kValues) value[a][j] = GET_HEAD(qkv, mine + p.C, j);
            sums[a][j] = vec4(0.0);
        }
    }
    for (uint t = at.begin; t < p.T; ++t) add_query(at, t);
    const uint column = kValues ? 2 * p.C : p.C;
    for (uint a = 0; a < kRows; ++a) {
        const uint s = at.own + W * a;
        if (s >= at.end) continue;
        for (uint j = 0; j < kVec4s; ++j)
            PUT_HEAD(dqkv, row_of(at, s) + column, j, kValues ? sums[a][j] : scale * sums[a][j]);
    }
}
