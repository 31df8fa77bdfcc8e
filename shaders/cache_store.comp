// Stores the keys and values of row r in slot slots[r], at positions[r]. One workgroup per row; D is the head size.
#version 450
#include "common.glsl"

TENSOR(CacheStore_k, readonly restrict, float, k);                // (R,K)
TENSOR(CacheStore_v, readonly restrict, float, v);                // (R,K)
TENSOR(CacheStore_slots, readonly restrict, int, slots);          // (R)
TENSOR(CacheStore_positions, readonly restrict, int, positions);  // (R)
TENSOR(CacheStore_keys, restrict, uint, keys);                    // (N,G,S,D)
TENSOR(CacheStore_values, restrict, uint, values);                // (N,G,S,D)

/// Converts to f16, to nearest, ties to even, as on the CPU.
uint to_f16(float x) {
    const uint bits = floatBitsToUint(x), sign = bits >> 16 & 0x8000u, size = bits & 0x7FFFFFFFu;
    if (size > 0x7F800000u) return sign | 0x7E00u;   // NaN
    if (size >= 0x477FF000u) return sign | 0x7C00u;  // 65520 and above: infinite
    if (size < 0x38800000u) {                        // below 2^-14: a multiple of 2^-24
        const uint shift = min(126 - (size >> 23), 31u);
        const uint mantissa = size & 0x7FFFFFu | 0x800000u, whole = mantissa >> shift;
        const uint rest = mantissa & (1u << shift) - 1, tie = 1u << shift - 1;
        return sign | whole + uint(rest > tie || rest == tie && (whole & 1) != 0);
    }
    return sign | size - 0x38000000u + 0xFFFu + (size >> 13 & 1) >> 13;
}

// f16 numbers are written in pairs if no word has numbers of two heads. Otherwise two invocations may share a word, and each
// changes its own half.
bool in_pairs() { return TYPE(keys) == kF16 && is_vec4(keys_operand) && is_vec4(values_operand); }

/// Stores number `at` of k or v as number `to` of the cache; in pairs also the next one.
#define STORE(cache, to, from, at)                                                                     \
    if (TYPE(cache) == kF32) {                                                                         \
        AT(cache, to) = floatBitsToUint(AT(from, at));                                                 \
    } else if (in_pairs()) {                                                                           \
        cache##_data[(SHIFT(cache) + to) / 2] = to_f16(AT(from, at)) | to_f16(AT(from, at + 1)) << 16; \
    } else {                                                                                           \
        const uint place = SHIFT(cache) + to, half_of = 16 * (place & 1);                              \
        atomicAnd(cache##_data[place / 2], ~(0xFFFFu << half_of));                                     \
        atomicOr(cache##_data[place / 2], to_f16(AT(from, at)) << half_of);                            \
    }

void main() {
    const uint r = group(), step = in_pairs() ? 2 : 1;
    if (r >= live_rows()) return;
    const uint first = uint(AT(slots, r)) * p.G, s = uint(AT(positions, r));
    for (uint c = step * gl_LocalInvocationIndex; c < p.G * D; c += step * W) {
        const uint to = ((first + c / D) * p.S + s) * D + c % D;
        STORE(keys, to, k, r * p.k_stride + c)
        STORE(values, to, v, r * p.v_stride + c)
    }
}
