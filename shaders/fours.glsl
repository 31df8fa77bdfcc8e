#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

// Drivers for CPUs write component by component, so two floats are one of 64 bits.
u64vec2 to_pairs(vec4 four) {
    const uvec4 bits = floatBitsToUint(four);
    return u64vec2(packUint2x32(bits.xy), packUint2x32(bits.zw));
}
vec4 from_pairs(u64vec2 pairs) { return uintBitsToFloat(uvec4(unpackUint2x32(pairs.x), unpackUint2x32(pairs.y))); }

// Reads and writes of the four numbers from `at` on of a float tensor, of which there are those before `end`.
#define FOURS(i, name)                                                                     \
    TENSOR(i, float, name);                                                                \
    layout(binding = i + 1, std430) buffer name##_fours_block { u64vec2 name##_fours[]; }; \
    vec4 get_##name(uint at, uint end) {                                                   \
        if (in_fours(i)) return from_pairs(name##_fours[(p.shift[i] + at) / 4]);           \
        vec4 four = vec4(0.0);                                                             \
        for (uint q = 0; q < 4; ++q) if (at + q < end) four[q] = AT(i, name, at + q);      \
        return four;                                                                       \
    }                                                                                      \
    void put_##name(uint at, uint end, vec4 four) {                                        \
        if (in_fours(i))                                                                   \
            name##_fours[(p.shift[i] + at) / 4] = to_pairs(four);                          \
        else                                                                               \
            for (uint q = 0; q < 4; ++q) if (at + q < end) AT(i, name, at + q) = four[q];  \
    }
