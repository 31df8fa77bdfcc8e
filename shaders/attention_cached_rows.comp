// attention_cached for many rows: attention.glsl on the keys and values of a cache, where row r = (b,t) sees sequence b up to
// positions[r]. A workgroup reads them as floats into shared memory, kBlock at a time.
#version 450
#include "common.glsl"
#include "heads.glsl"

ACTIVATION_IN(0, readonly restrict, qkv)       // (R,3C)
TENSOR(1, readonly restrict, int, positions);  // (R)
ACTIVATION_OUT(5, writeonly restrict, y)       // (R,C)

#include "cache.glsl"

const uint kBlock = D > 128 ? 4 : D > 64 ? 8 : 16;

shared vec4 some_keys[kBlock][kVec4s], some_values[kBlock][kVec4s];

#define KEY(at, s, j) some_keys[(s) % kBlock][j]
#define VALUE(at, s, j) some_values[(s) % kBlock][j]

/// Reads the keys and values from s on, as far as they are before `count`.
void load(Place at, uint s, uint count) {
    const uint length = 4 * kVec4s, numbers = min(kBlock, count - s) * length;
    barrier();  // others may still read the last ones
    for (uint i = gl_LocalInvocationIndex; i < numbers; i += W) {
        const uint to = i / length, d = i % length, from = (at.unit * p.S + s + to) * D + d;
        some_keys[to][d / 4][d % 4] = d < D ? CACHED_NUMBER(6, keys, from) : 0.0;
        some_values[to][d / 4][d % 4] = d < D ? CACHED_NUMBER(7, values, from) : 0.0;
    }
    barrier();
}

uint last_key(Place at, uint t) { return uint(AT(1, positions, at.first + t)); }

uint key_count(Place at) {
    uint count = 0;
    for (uint t = at.begin; t < at.end; ++t) count = max(count, last_key(at, t) + 1);
    return count;
}

uint mask_bits(Place at, uint t, uint s) { return 0; }
void store_lse(Place at, uint t, float largest, float sum) {}

#include "attention.glsl"

void main() { attend(place(run_rows() / p.B)); }
