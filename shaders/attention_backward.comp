// With M the dropout factors and P = exp(q_t . k_s / sqrt(D) - lse_t):  dS = P ((dy_t . v_s) M - dy_t . y_t),
// dq_t = sum_s dS k_s / sqrt(D). A workgroup computes W kRows queries and leaves records for attention_backward_keys; D is the
// head size.
#version 450
#include "common.glsl"
#include "heads.glsl"

ACTIVATION_IN(0, readonly restrict, dy)          // (R,C)
ACTIVATION_IN(1, readonly restrict, qkv)         // (R,3C)
ACTIVATION_IN(2, readonly restrict, y)           // (R,C)
TENSOR(3, readonly restrict, float, lse);        // (B,H,T)
ACTIVATION_OUT(5, writeonly restrict, dqkv)      // (R,3C)
TENSOR(6, readonly restrict, uint, mask);        // of dropout_mask
TENSOR(6, writeonly restrict, uvec4, records);   // behind it

#include "mask_bits.glsl"

vec4 query[kRows][kVec4s], dyt[kRows][kVec4s], sums[kRows][kVec4s];
float lse_t[kRows], dy_y[kRows];

/// Adds key s. The lowest of bits[a] says whether dropout drops its weight in row a.
void add_key(Place at, uint s, uint bits[kRows]) {
    const uint key = row_of(at, s) + p.C;
    float score[kRows], dS[kRows];
    for (uint a = 0; a < kRows; ++a) score[a] = dS[a] = 0.0;
    for (uint j = 0; j < kVec4s; ++j) {
        const vec4 k = GET_HEAD(qkv, key, j), v = GET_HEAD(qkv, key + p.C, j);
        for (uint a = 0; a < kRows; ++a) {
            score[a] += dot(query[a][j], k);
            dS[a] += dot(dyt[a][j], v);
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const float P = s <= at.own + W * a ? exp_of(score[a] - lse_t[a]) : 0.0;
        dS[a] = P * (dS[a] * factor(bits[a]) - dy_y[a]);
    }
    for (uint j = 0; j < kVec4s; ++j) {
        const vec4 k = GET_HEAD(qkv, key, j);  // again: the whole workgroup reads it at once, and registers are scarce
        for (uint a = 0; a < kRows; ++a) sums[a][j] = fma(vec4(dS[a]), k, sums[a][j]);
    }
}

void main() {
    const Place at = place(p.T);
    if (!is_there(at)) return;
    const float scale = 1.0 / sqrt(float(D));
    for (uint a = 0; a < kRows; ++a) {
        const uint t = min(at.own + W * a, at.end - 1);
        lse_t[a] = AT(3, lse, at.unit * p.T + t);
        dy_y[a] = 0.0;
        for (uint j = 0; j < kVec4s; ++j) {
            query[a][j] = scale * GET_HEAD(qkv, row_of(at, t), j);
            dyt[a][j] = GET_HEAD(dy, row_of_y(at, t), j);
            dy_y[a] += dot(dyt[a][j], GET_HEAD(y, row_of_y(at, t), j));
            sums[a][j] = vec4(0.0);
        }
    }
    for (uint block = 0; block < at.end; block += 64) {
        uvec2 bits[kRows];
        for (uint a = 0; a < kRows; ++a) {
            const uint t = min(at.own + W * a, at.end - 1);
            bits[a] = uvec2(mask_bits(at, t, block), mask_bits(at, t, block + 32));
            AT(6, records, record(at, t, block)) = uvec4(floatBitsToUint(lse_t[a]), floatBitsToUint(dy_y[a]), bits[a]);
        }
        for (uint s = block; s < min(block + 64, at.end); ++s) {
            uint of_key[kRows];
            for (uint a = 0; a < kRows; ++a) of_key[a] = bits[a][s / 32 % 2] >> s % 32;
            add_key(at, s, of_key);
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint t = at.own + W * a;
        if (t < at.end)
            for (uint j = 0; j < kVec4s; ++j) PUT_HEAD(dqkv, row_of(at, t), j, scale * sums[a][j]);
    }
}
