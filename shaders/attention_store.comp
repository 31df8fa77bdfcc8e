// Before attention_cached: stores the key and value of row r = (b,t) in the cache, at positions[r] of sequence b. One workgroup per
// row; D is the head size.
#version 450
#include "common.glsl"

TENSOR(0, readonly restrict, float, qkv);      // (R,3C)
TENSOR(1, readonly restrict, int, positions);  // (R)
TENSOR(6, restrict, uint, keys);               // (B,H,S,D)
TENSOR(7, restrict, uint, values);             // (B,H,S,D)

/// The nearest f16 number, ties to even, as on the CPU.
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

// Where no word has numbers of two heads, f16 numbers are written in pairs. Otherwise two invocations may share a word, and each
// changes its own half.
bool in_pairs() { return kType == kF16 && is_vec4(6) && is_vec4(7); }

/// Stores number `from` of qkv as number `to`; in pairs also the next one.
#define STORE(i, name, to, from)                                                                                \
    if (kType == kF32) {                                                                                        \
        AT(i, name, to) = floatBitsToUint(AT(0, qkv, from));                                                    \
    } else if (in_pairs()) {                                                                                    \
        name##_data[(p.shift[i] + to) / 2] = to_f16(AT(0, qkv, from)) | to_f16(AT(0, qkv, (from) + 1)) << 16;   \
    } else {                                                                                                    \
        const uint at = p.shift[i] + to, half_of = 16 * (at & 1);                                               \
        atomicAnd(name##_data[at / 2], ~(0xFFFFu << half_of));                                                  \
        atomicOr(name##_data[at / 2], to_f16(AT(0, qkv, from)) << half_of);                                     \
    }

void main() {
    const uint r = group(), step = in_pairs() ? 2 : 1;
    if (r >= run_rows()) return;
    const uint s = uint(AT(1, positions, r)), b = r / p.T;
    for (uint c = step * gl_LocalInvocationIndex; c < p.C; c += step * W) {
        const uint to = ((b * p.H + c / D) * p.S + s) * D + c % D;
        STORE(6, keys, to, r * 3 * p.C + p.C + c);
        STORE(7, values, to, r * 3 * p.C + 2 * p.C + c);
    }
}
