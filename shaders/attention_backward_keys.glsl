// The gradients of keys and values, with sums over the queries t that see key s, in all query heads of its head:
// dk_s = scale sum_t dS q_t, or where VALUES is defined  dv_s = sum_t P M dy_t. A workgroup computes W kRows keys; D is the head
// size. One shader for both would need 256 registers for kRows D numbers each of key, value, dk and dv, more than GPUs have; dk
// alone takes 192. The shader that includes this defines the tensor `gradient`, dk or dv.
#include "heads.glsl"
#include "records.glsl"

ACTIVATION_IN(AttentionBackward_dy, readonly restrict, dy)  // (B,T,C)
ACTIVATION_IN(AttentionBackward_q, readonly restrict, q)    // (B,T,C)
ACTIVATION_IN(AttentionBackward_k, readonly restrict, k)    // (B,S,K)
#ifndef VALUES
ACTIVATION_IN(AttentionBackward_v, readonly restrict, v)  // (B,S,K)
#endif
ACTIVATION_OUT(GRADIENT, writeonly restrict, gradient)  // (B,S,K)
TENSOR(kScratch, readonly restrict, uint, mask);        // of dropout_mask
TENSOR(kScratch, readonly restrict, uvec4, records);    // behind it

#include "mask_bits.glsl"

vec4 key[kRows][kVec4s], sums[kRows][kVec4s];
#ifdef VALUES
#define FOR_SUMS(j) GET_HEAD(dy, row_of_y(at, t), j)
#else
#define FOR_SUMS(j) GET_HEAD(q, row_of_q(at, t), j)
vec4 value[kRows][kVec4s];
#endif

/// Adds query t of head at.head.
void add_query(Place at, uint t) {
    const uvec4 of_query = AT(records, record(at.unit, t));
    bool seen[kRows], any_seen = false;
    for (uint a = 0; a < kRows; ++a) {
        const uint s = at.own + W * a;
        seen[a] = s >= of_query.z && s < of_query.w;
        any_seen = any_seen || seen[a];
    }
    if (!any_seen) return;
    float weight[kRows], dS[kRows];
    for (uint a = 0; a < kRows; ++a) weight[a] = dS[a] = 0.0;
    for (uint j = 0; j < kVec4s; ++j) {
        const vec4 query = GET_HEAD(q, row_of_q(at, t), j);
        for (uint a = 0; a < kRows; ++a) weight[a] += dot(key[a][j], query);
#ifndef VALUES
        const vec4 dyt = GET_HEAD(dy, row_of_y(at, t), j);
        for (uint a = 0; a < kRows; ++a) dS[a] += dot(value[a][j], dyt);
#endif
    }
    for (uint a = 0; a < kRows; ++a) {
        const float M = factor(mask_bit(at, t, min(at.own + W * a, at.end - 1)));
        const float P = exp_of(weight[a] - uintBitsToFloat(of_query.x));
#ifdef VALUES
        weight[a] = seen[a] ? P * M : 0.0;
#else
        weight[a] = seen[a] ? P * (dS[a] * M - uintBitsToFloat(of_query.y)) : 0.0;
#endif
    }
    for (uint j = 0; j < kVec4s; ++j) {
        const vec4 row = FOR_SUMS(j);
        for (uint a = 0; a < kRows; ++a) sums[a][j] = fma(vec4(weight[a]), row, sums[a][j]);
    }
}

/// The first of `count` queries of head `unit` whose record has a number above s at `index`, by binary search: these numbers never
/// decrease.
uint first_above(uint unit, uint count, uint index, uint s) {
    uint first = 0, left = count;
    for (uint i = 0; i < 32 && left > 0; ++i) {
        const uint half_left = left / 2;
        const bool below = AT(records, record(unit, first + half_left))[index] <= s;
        first += below ? half_left + 1 : 0;
        left = below ? left - half_left - 1 : half_left;
    }
    return first;
}

void main() {
    Place at = place(p.G, p.S, keys());
    if (!is_there(at)) return;
    const uint group_heads = p.H / p.G, first_head = at.head * group_heads;
    at.head = first_head;
    for (uint a = 0; a < kRows; ++a) {
        const uint s = min(at.own + W * a, at.end - 1);
        for (uint j = 0; j < kVec4s; ++j) {
            key[a][j] = p.scale * GET_HEAD(k, row_of_k(at, s), j);
#ifndef VALUES
            value[a][j] = GET_HEAD(v, row_of_v(at, s), j);
#endif
            sums[a][j] = vec4(0.0);
        }
    }
    for (at.head = first_head; at.head < first_head + group_heads; ++at.head) {
        at.unit = at.b * p.H + at.head;
        const uint begin = first_above(at.unit, queries(), 3, at.begin), end = first_above(at.unit, queries(), 2, at.end - 1);
        for (uint t = begin; t < end; ++t) add_query(at, t);
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint s = at.own + W * a;
        if (s >= at.end) continue;
        const uint to = (at.b * p.S + s) * p.d_stride + first_head / group_heads * D;
#ifdef VALUES
        for (uint j = 0; j < kVec4s; ++j) PUT_HEAD(gradient, to, j, sums[a][j]);
#else
        for (uint j = 0; j < kVec4s; ++j) PUT_HEAD(gradient, to, j, p.scale * sums[a][j]);
#endif
    }
}
