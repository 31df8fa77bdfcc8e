// The keys and values of attention.glsl in sessions: those of a cache, where row r = (b,t) sees sequence b up to positions[r].
// Invocations read them from memory that their workgroup shares, as floats, kBlock after another.
#include "heads.glsl"

ROWS(0, qkv)                // (R,3C)
TENSOR(1, int, positions);  // (R)
RESULT(5, y)                // (R,C)

const uint kBlock = D > 128 ? 4 : D > 64 ? 8 : 16;

#include "cache.glsl"

shared vec4 some_keys[kBlock][kQuads], some_values[kBlock][kQuads];

#define KEY(at, s, j) some_keys[(s) % kBlock][j]
#define VALUE(at, s, j) some_values[(s) % kBlock][j]

/// Keys and values from s on, those before `seen`.
void load(Place at, uint s, uint seen) {
    const uint length = 4 * kQuads, count = min(kBlock, seen - s) * length;
    barrier();  // who still reads the last ones
    for (uint i = gl_LocalInvocationIndex; i < count; i += W) {
        const uint to = i / length, d = i % length, from = (at.unit * p.S + s + to) * D + d;
        some_keys[to][d / 4][d % 4] = d < D ? CACHED_NUMBER(6, keys, from) : 0.0;
        some_values[to][d / 4][d % 4] = d < D ? CACHED_NUMBER(7, values, from) : 0.0;
    }
    barrier();
}

uint last_key(Place at, uint t) { return uint(AT(1, positions, at.first + t)); }

uint keys_of(Place at) {
    uint seen = 0;
    for (uint t = at.begin; t < at.end; ++t) seen = max(seen, last_key(at, t) + 1);
    return seen;
}

uint drops(Place at, uint t, uint s) { return 0; }
void store_lse(Place at, uint t, float largest, float sum) {}
