// weights[b,h,t,s] = softmax_s(scale q_t . k_s) over the keys that t sees, else 0. One workgroup per query and head; D is the
// head size.
#version 450
#include "common.glsl"
#include "heads.glsl"

ACTIVATION_IN(Attention_q, readonly restrict, q)         // (B,T,C)
ACTIVATION_IN(Attention_k, readonly restrict, k)         // (B,S,K)
TENSOR(Attention_spans, readonly restrict, int, spans);  // (B,T,2)
TENSOR(Attention_weights, restrict, float, weights);     // (B,H,T,S)

#include "keys_of.glsl"

void main() {
    const uint i = gl_LocalInvocationIndex, row = group() * p.S, t = group() % p.T, unit = group() / p.T;
    const Place at = Place(unit, unit / p.H, unit % p.H, t, t + 1, t);
    if (at.b >= p.B || t >= queries()) return;
    const uvec2 seen = keys_of(at.b, t);
    float largest = kLowest, sum = 0.0;
    for (uint first = 0; first < p.S; first += W) {
        const uint s = first + i, from = row_of_k(at, min(s, p.S - 1)), query = row_of_q(at, t);
        float score = 0.0;
        for (uint d = 0; d < D; ++d) score = fma(p.scale * get_q(query + d), get_k(from + d), score);
        largest = mix(largest, max(largest, score), all(bvec2(s >= seen.x, s < seen.y)));
        if (s < p.S) AT(weights, row + s) = score;
    }
    largest = max_of_group(largest);
    for (uint first = 0; first < p.S; first += W) {
        const uint s = first + i;
        const float weight = exp_of(AT(weights, row + min(s, p.S - 1)) - largest);
        sum += only_if(all(bvec2(s >= seen.x, s < seen.y)), weight);
    }
    sum = sum_of_group(sum);
    for (uint s = i; s < p.S; s += W)
        AT(weights, row + s) = s >= seen.x && s < seen.y ? exp_of(AT(weights, row + s) - largest) / sum : 0.0;
}
