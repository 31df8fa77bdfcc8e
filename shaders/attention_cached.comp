// y_r = sum_s softmax_s(scale q_r . k_s) v_s over the keys of its slot that row r sees: the online softmax of Milakov, Gimelshein
// 2018 over W keys at a time. One workgroup per row and head, for the rows that attention_cached_rows skips; D is the head size.
#version 450
#include "common.glsl"
#include "cache.glsl"

const uint kEach = (D + W - 1) / W;  // numbers of y that an invocation computes: i, i + W, ...

shared float query[kEach * W], weights[W];

void main() {
    const uint i = gl_LocalInvocationIndex, row = group() / p.H, head = group() % p.H, R = live_rows();
    if (row >= R) return;
    const uint tile = row / (kRows * W) * kRows * W;
    if (is_run(tile, min(tile + kRows * W, R))) return;
    const uvec2 seen = cached_keys(row);
    const uint keys_at = cache_at(row, head);
    float sums[kEach], largest = kLowest, sum = 0.0;
    for (uint k = 0; k < kEach; ++k) {
        query[i + k * W] = p.scale * get_q(row * p.q_stride + head * D + min(i + k * W, D - 1));
        sums[k] = 0.0;
    }
    for (uint first = seen.x; first < seen.y; first += W) {
        barrier();  // `query` is complete, and the last `weights` are no longer read
        const bool there = first + i < seen.y;
        const uint key = keys_at + min(first + i, seen.y - 1) * D;
        float score = 0.0;
        for (uint d = 0; d < D; ++d) score = fma(query[d], CACHED_NUMBER(keys, key + d), score);
        const float before = largest;
        largest = max(largest, max_of_group(mix(kLowest, score, there)));
        const float weight = only_if(there, exp_of(score - largest));
        weights[i] = weight;
        const float rescale = first == seen.x ? 0.0 : exp_of(before - largest);
        sum = fma(sum, rescale, sum_of_group(weight));  // its barriers also make `weights` visible
        for (uint k = 0; k < kEach; ++k) {
            const uint d = min(i + k * W, D - 1);
            sums[k] *= rescale;
            for (uint s = 0; s < min(W, seen.y - first); ++s)
                sums[k] = fma(weights[s], CACHED_NUMBER(values, keys_at + (first + s) * D + d), sums[k]);
        }
    }
    for (uint k = 0; k < kEach; ++k)
        if (i + k * W < D)
            put_vec2_y(row * p.C + head * D + i + k * W, vec2(seen.x < seen.y ? sums[k] / sum : 0.0, 0.0), 1);
}
