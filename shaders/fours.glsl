// Reads and writes of the four numbers from `at` on of an activation of floats or of half floats, of which there are those before
// `end`; by fours where tensor i is in_fours(), as half floats always are.
uvec2 to_halves(vec4 four) { return uvec2(packHalf2x16(four.xy), packHalf2x16(four.zw)); }
vec4 from_halves(uvec2 four) { return vec4(unpackHalf2x16(four.x), unpackHalf2x16(four.y)); }

#define FOURS(i, name)                                                                            \
    TENSOR(i, float, name);                                                                       \
    layout(binding = i + 1, std430) buffer name##_fours_block { vec4 name##_fours[]; };    \
    layout(binding = i + 1, std430) buffer name##_halves_block { uvec2 name##_halves[]; };  \
    vec4 get_##name(uint at, uint end) {                                                          \
        if (in_halves(i)) return from_halves(name##_halves[(p.shift[i] + at) / 4]);               \
        if (in_fours(i)) return name##_fours[(p.shift[i] + at) / 4];                 \
        vec4 four = vec4(0.0);                                                                    \
        for (uint q = 0; q < 4; ++q) if (at + q < end) four[q] = AT(i, name, at + q);             \
        return four;                                                                              \
    }                                                                                             \
    void put_##name(uint at, uint end, vec4 four) {                                               \
        if (in_halves(i))                                                                         \
            name##_halves[(p.shift[i] + at) / 4] = to_halves(four);                               \
        else if (in_fours(i))                                                                     \
            name##_fours[(p.shift[i] + at) / 4] = four;                                \
        else                                                                                      \
            for (uint q = 0; q < 4; ++q) if (at + q < end) AT(i, name, at + q) = four[q];         \
    }
