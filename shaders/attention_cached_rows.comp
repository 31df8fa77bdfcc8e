// attention_cached for many rows of one slot, as in a prompt: attention.glsl on the slot's keys and values, which the workgroup
// loads into shared memory as floats, kBlock at a time.
#version 450
#include "common.glsl"
#include "cache.glsl"
#include "log.glsl"

const uint kBlock = D > 128 ? 4 : D > 64 ? 8 : 16;

shared vec4 some_keys[kBlock][kVec4s], some_values[kBlock][kVec4s];
shared uint first_key, end_key;

#define KEY(at, s, j) some_keys[(s) % kBlock][j]
#define VALUE(at, s, j) some_values[(s) % kBlock][j]

/// Loads the keys and values [begin, end).
void load(Place at, uint begin, uint end) {
    const uint length = 4 * kVec4s, numbers = (end - begin) * length, keys_at = cache_at(at.begin, at.head);
    barrier();  // others may still read the last ones
    for (uint i = gl_LocalInvocationIndex; i < numbers; i += W) {
        const uint to = i / length, d = i % length, from = keys_at + (begin + to) * D + d;
        some_keys[to][d / 4][d % 4] = d < D ? CACHED_NUMBER(keys, from) : 0.0;
        some_values[to][d / 4][d % 4] = d < D ? CACHED_NUMBER(values, from) : 0.0;
    }
    barrier();
}

uvec2 keys_of_row(Place at, uint t) { return cached_keys(t); }

uvec2 keys_of_group(Place at) {
    atomicExchange(first_key, p.S);
    atomicExchange(end_key, 0);
    barrier();
    for (uint t = at.own; t < at.end; t += W) {
        const uvec2 seen = cached_keys(t);
        if (seen.x >= seen.y) continue;
        atomicMin(first_key, seen.x);
        atomicMax(end_key, seen.y);
    }
    barrier();
    return uvec2(first_key, end_key);
}

uint mask_bits(Place at, uint t, uint s) { return 0; }
void store_lse(Place at, uint t, float of_row) {}

#include "attention.glsl"

/// All rows count as one sequence, whatever B and T are.
void main() {
    const uint R = p.B * p.T, length = kRows * W, tiles = (R + length - 1) / length;
    const uint head = group() / tiles, begin = group() % tiles * length, end = min(begin + length, live_rows());
    if (head >= p.H || begin >= end || !is_run(begin, end)) return;
    attend(Place(head, 0, head, begin, end, begin + gl_LocalInvocationIndex));
}
