// With M the dropout factors and P = exp(scale q_t . k_s - lse_t):  dS = P ((dy_t . v_s) M - dy_t . y_t),
// dq_t = scale sum_s dS k_s. A workgroup computes W kRows queries; D is the head size. Runs after attention_backward_records.
#version 450
#include "common.glsl"
#include "heads.glsl"
#include "records.glsl"

ACTIVATION_IN(AttentionBackward_dy, readonly restrict, dy)    // (B,T,C)
ACTIVATION_IN(AttentionBackward_q, readonly restrict, q)      // (B,T,C)
ACTIVATION_IN(AttentionBackward_k, readonly restrict, k)      // (B,S,K)
ACTIVATION_IN(AttentionBackward_v, readonly restrict, v)      // (B,S,K)
ACTIVATION_OUT(AttentionBackward_dq, writeonly restrict, dq)  // (B,T,C)
TENSOR(kScratch, readonly restrict, uint, mask);              // of dropout_mask
TENSOR(kScratch, readonly restrict, uvec4, records);          // behind it

#include "mask_bits.glsl"

vec4 query[kRows][kVec4s], dyt[kRows][kVec4s], sums[kRows][kVec4s];
uvec4 of_row[kRows];

bool sees(uint a, uint s) { return s >= of_row[a].z && s < of_row[a].w; }

/// Adds key s. The lowest bit of bits[a] says whether dropout drops its weight in row a.
void add_key(Place at, uint s, uint bits[kRows]) {
    bool wanted = false;
    for (uint a = 0; a < kRows; ++a) wanted = wanted || sees(a, s);
    if (!wanted) return;
    const uint key = row_of_k(at, s), value = row_of_v(at, s);
    float score[kRows], dS[kRows];
    for (uint a = 0; a < kRows; ++a) score[a] = dS[a] = 0.0;
    for (uint j = 0; j < kVec4s; ++j) {
        const vec4 of_key = GET_HEAD(k, key, j), of_value = GET_HEAD(v, value, j);
        for (uint a = 0; a < kRows; ++a) {
            score[a] += dot(query[a][j], of_key);
            dS[a] += dot(dyt[a][j], of_value);
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const float P = exp_of(score[a] - uintBitsToFloat(of_row[a].x));
        dS[a] = sees(a, s) ? P * (dS[a] * factor(bits[a]) - uintBitsToFloat(of_row[a].y)) : 0.0;
    }
    for (uint j = 0; j < kVec4s; ++j) {
        const vec4 of_key = GET_HEAD(k, key, j);  // read again: all invocations read the same address, and registers are scarce
        for (uint a = 0; a < kRows; ++a) sums[a][j] = fma(vec4(dS[a]), of_key, sums[a][j]);
    }
}

void main() {
    const Place at = place(p.H, p.T, queries());
    if (!is_there(at)) return;
    for (uint a = 0; a < kRows; ++a) {
        const uint t = min(at.own + W * a, at.end - 1);
        of_row[a] = AT(records, record(at.unit, t));
        for (uint j = 0; j < kVec4s; ++j) {
            query[a][j] = p.scale * GET_HEAD(q, row_of_q(at, t), j);
            dyt[a][j] = GET_HEAD(dy, row_of_y(at, t), j);
            sums[a][j] = vec4(0.0);
        }
    }
    const uint begin = AT(records, record(at.unit, at.begin)).z, end = AT(records, record(at.unit, at.end - 1)).w;
    for (uint block = begin; block < end; block += 32) {
        uint bits[kRows];
        for (uint a = 0; a < kRows; ++a) bits[a] = mask_bits(at, min(at.own + W * a, at.end - 1), block);
        for (uint s = block; s < min(block + 32, end); ++s) {
            add_key(at, s, bits);
            for (uint a = 0; a < kRows; ++a) bits[a] >>= 1;
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint t = at.own + W * a;
        if (t >= at.end) continue;
        const uint to = (at.b * p.T + t) * p.d_stride + at.head * D;
        for (uint j = 0; j < kVec4s; ++j) PUT_HEAD(dq, to, j, p.scale * sums[a][j]);
    }
}
