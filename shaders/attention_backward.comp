// With M the dropout factors, P = exp(q_t . k_s / sqrt(D) - lse_t) and own_t = dy_t . y_t:  dS = P ((dy_t . v_s) M - own_t),
// dq_t = sum_s dS k_s / sqrt(D). A workgroup computes W kRows queries and leaves records for attention_backward_keys;
// D is the head size.
#version 450
#include "common.glsl"
#include "heads.glsl"

ROWS(0, dy)             // (R,C)
ROWS(1, qkv)            // (R,3C)
ROWS(2, y)              // (R,C)
TENSOR(3, float, lse);  // (B,H,T)
RESULT(5, dqkv)         // (R,3C)
TENSOR(6, uint, mask);       // of dropout_mask
TENSOR(6, uvec4, records);  // behind it

#include "drops.glsl"

vec4 query[kRows][kQuads], dyt[kRows][kQuads], sums[kRows][kQuads];
float lse_t[kRows], own_t[kRows];

/// Takes key s; the lowest of bits[a] says what dropout does.
void add_key(Place at, uint s, uint bits[kRows]) {
    const uint key = row_of(at, s) + p.C;
    float score[kRows], dS[kRows];
    for (uint a = 0; a < kRows; ++a) score[a] = dS[a] = 0.0;
    for (uint j = 0; j < kQuads; ++j) {
        const vec4 k = QUAD(1, qkv, key, j), v = QUAD(1, qkv, key + p.C, j);
        for (uint a = 0; a < kRows; ++a) {
            score[a] += dot(query[a][j], k);
            dS[a] += dot(dyt[a][j], v);
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const float P = s <= at.own + W * a ? exp_of(score[a] - lse_t[a]) : 0.0;
        dS[a] = P * (dS[a] * factor(bits[a]) - own_t[a]);
    }
    for (uint j = 0; j < kQuads; ++j) {
        const vec4 again = QUAD(1, qkv, key, j);  // all read it at once, and registers are scarce
        for (uint a = 0; a < kRows; ++a) sums[a][j] = fma(vec4(dS[a]), again, sums[a][j]);
    }
}

void compute(Place at) {
    if (at.unit >= p.B * p.H || at.begin >= p.T) return;
    const float scale = 1.0 / sqrt(float(D));
    for (uint a = 0; a < kRows; ++a) {
        const uint t = min(at.own + W * a, at.end - 1);
        lse_t[a] = AT(3, lse, at.unit * p.T + t);
        own_t[a] = 0.0;
        for (uint j = 0; j < kQuads; ++j) {
            query[a][j] = scale * QUAD(1, qkv, row_of(at, t), j);
            dyt[a][j] = QUAD(0, dy, row_of_y(at, t), j);
            own_t[a] += dot(dyt[a][j], QUAD(2, y, row_of_y(at, t), j));
            sums[a][j] = vec4(0.0);
        }
    }
    for (uint s64 = 0; s64 < at.end; s64 += 64) {
        uvec2 bits[kRows];
        for (uint a = 0; a < kRows; ++a) {
            const uint t = min(at.own + W * a, at.end - 1);
            bits[a] = uvec2(drops(at, t, s64), drops(at, t, s64 + 32));
            AT(6, records, record(at, t, s64)) = uvec4(floatBitsToUint(lse_t[a]), floatBitsToUint(own_t[a]), bits[a]);
        }
        for (uint s = s64; s < min(s64 + 64, at.end); ++s) {
            uint next[kRows];
            for (uint a = 0; a < kRows; ++a) next[a] = bits[a][s / 32 % 2] >> s % 32;
            add_key(at, s, next);
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint t = at.own + W * a;
        if (t < at.end)
            for (uint j = 0; j < kQuads; ++j) STORE_QUAD(5, dqkv, row_of(at, t), j, scale * sums[a][j]);
    }
}

void main() {
    compute(place());
}
