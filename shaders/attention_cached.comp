// y_r = sum_s softmax_s(q_r . k_s / sqrt(D)) v_s over s <= positions[r] of the cache: the online softmax of Milakov, Gimelshein
// 2018 over W keys at a time. One workgroup per row and head; D is the head size.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, float, qkv);      // (R,3C)
TENSOR(1, readonly restrict, int, positions);  // (R)
TENSOR(5, writeonly restrict, float, y);       // (R,C)

#include "cache.glsl"

const uint kEach = (D + W - 1) / W;  // numbers of y that an invocation computes: i, i + W, ...

shared float query[kEach * W], weights[W];

void main() {
    const uint i = gl_LocalInvocationIndex, row = group() / p.H, head = group() % p.H;
    if (row >= run_rows()) return;
    const uint count = uint(AT(1, positions, row)) + 1, keys_at = (row / p.T * p.H + head) * p.S * D;
    const float scale = 1.0 / sqrt(float(D));
    float sums[kEach], largest = kLowest, sum = 0.0;
    for (uint k = 0; k < kEach; ++k) {
        query[i + k * W] = scale * AT(0, qkv, row * 3 * p.C + head * D + min(i + k * W, D - 1));
        sums[k] = 0.0;
    }
    for (uint first = 0; first < count; first += W) {
        barrier();  // `query` is there, and nobody reads the last `weights` any more
        const bool there = first + i < count;
        const uint key = keys_at + min(first + i, count - 1) * D;
        float score = 0.0;
        for (uint d = 0; d < D; ++d) score = fma(query[d], CACHED_NUMBER(6, keys, key + d), score);
        const float before = largest;
        largest = max(largest, max_of_group(mix(kLowest, score, there)));
        const float weight = only_if(there, exp_of(score - largest));
        weights[i] = weight;
        const float rescale = first == 0 ? 0.0 : exp_of(before - largest);
        sum = fma(sum, rescale, sum_of_group(weight));  // whose barriers also show `weights` to all
        for (uint k = 0; k < kEach; ++k) {
            const uint d = min(i + k * W, D - 1);
            sums[k] *= rescale;
            for (uint s = 0; s < min(W, count - first); ++s)
                sums[k] = fma(weights[s], CACHED_NUMBER(7, values, keys_at + (first + s) * D + d), sums[k]);
        }
    }
    for (uint k = 0; k < kEach; ++k)
        if (i + k * W < D) AT(5, y, row * p.C + head * D + i + k * W) = sums[k] / sum;
}
