// Reads and writes of the four numbers from `at` on of an activation of floats or of half floats, of which there are those before
// `end`; by fours where tensor i is in_fours(), as half floats always are.
#ifdef TEXELS
// Drivers for CPUs write component by component, so two words are one of 64 bits.
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#define FOUR_FLOATS u64vec2
#define FOUR_HALVES uint64_t
#define FROM_WORDS(a) packUint2x32(a)
#define TO_WORDS(a) unpackUint2x32(a)

u64vec2 to_floats(vec4 four) {
    const uvec4 bits = floatBitsToUint(four);
    return u64vec2(packUint2x32(bits.xy), packUint2x32(bits.zw));
}
vec4 from_floats(u64vec2 pairs) { return uintBitsToFloat(uvec4(unpackUint2x32(pairs.x), unpackUint2x32(pairs.y))); }
#else
#define FOUR_FLOATS vec4
#define FOUR_HALVES uvec2
#define FROM_WORDS(a) a
#define TO_WORDS(a) a

vec4 to_floats(vec4 four) { return four; }
vec4 from_floats(vec4 four) { return four; }
#endif

FOUR_HALVES to_halves(vec4 four) { return FROM_WORDS(uvec2(packHalf2x16(four.xy), packHalf2x16(four.zw))); }
vec4 from_halves(FOUR_HALVES four) {
    const uvec2 words = TO_WORDS(four);
    return vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y));
}

#define FOURS(i, name)                                                                            \
    TENSOR(i, float, name);                                                                       \
    layout(binding = i + 1, std430) buffer name##_fours_block { FOUR_FLOATS name##_fours[]; };    \
    layout(binding = i + 1, std430) buffer name##_halves_block { FOUR_HALVES name##_halves[]; };  \
    vec4 get_##name(uint at, uint end) {                                                          \
        if (in_halves(i)) return from_halves(name##_halves[(p.shift[i] + at) / 4]);               \
        if (in_fours(i)) return from_floats(name##_fours[(p.shift[i] + at) / 4]);                 \
        vec4 four = vec4(0.0);                                                                    \
        for (uint q = 0; q < 4; ++q) if (at + q < end) four[q] = AT(i, name, at + q);             \
        return four;                                                                              \
    }                                                                                             \
    void put_##name(uint at, uint end, vec4 four) {                                               \
        if (in_halves(i))                                                                         \
            name##_halves[(p.shift[i] + at) / 4] = to_halves(four);                               \
        else if (in_fours(i))                                                                     \
            name##_fours[(p.shift[i] + at) / 4] = to_floats(four);                                \
        else                                                                                      \
            for (uint q = 0; q < 4; ++q) if (at + q < end) AT(i, name, at + q) = four[q];         \
    }
