// Shared by the shaders of attention_cached: keys and values of f32 or f16, and which rows attention_cached_rows takes.
#include "heads.glsl"

ACTIVATION_IN(AttentionCached_q, readonly restrict, q)            // (R,C)
TENSOR(AttentionCached_slots, readonly restrict, int, slots);     // (R)
TENSOR(AttentionCached_spans, readonly restrict, int, spans);     // (R,2)
TENSOR(AttentionCached_keys, readonly restrict, uint, keys);      // (N,G,S,D)
TENSOR(AttentionCached_values, readonly restrict, uint, values);  // (N,G,S,D)
ACTIVATION_OUT(AttentionCached_y, writeonly restrict, y)          // (R,C)

#define CACHED_NUMBER(name, index)                         \
    (TYPE(name) == kF32 ? uintBitsToFloat(AT(name, index)) \
                        : from_f16(name##_data[SHIFT(name) + (index) >> 1] >> 16 * (SHIFT(name) + (index) & 1) & 0xFFFFu))

/// Where the cache rows begin, for row r's slot and a query head.
uint cache_at(uint r, uint head) { return (uint(AT(slots, r)) * p.G + key_head(head)) * p.S * D; }

/// The keys [x, y) of its slot that row r sees.
uvec2 cached_keys(uint r) {
    const uint begin = uint(AT(spans, 2 * r)), end = uint(AT(spans, 2 * r + 1));
    return uvec2(p.window > 0 && end > begin + p.window ? end - p.window : begin, end);
}

const uint kFewest = 9;  // the fewest rows of a slot that are worth computing together; as in dispatch_attention.cpp

/// Whether rows [begin, end) are of one slot and are computed together. To be called by the whole workgroup.
bool is_run(uint begin, uint end) {
    if (end < begin + kFewest) return false;
    const int slot = AT(slots, begin);
    float others = 0.0;
    for (uint first = begin; first < end; first += W)
        others = mix(1.0, others, AT(slots, min(first + gl_LocalInvocationIndex, end - 1)) == slot);
    return max_of_group(others) == 0.0;
}
