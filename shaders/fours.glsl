// Reads and writes of the four numbers from `at` on of a float tensor, of which there are those before `end`.
#define FOURS(i, name)                                                                    \
    TENSOR(i, float, name);                                                               \
    layout(binding = i + 1, std430) buffer name##_fours_block { vec4 name##_fours[]; };   \
    vec4 get_##name(uint at, uint end) {                                                  \
        if (in_fours(i)) return name##_fours[(p.shift[i] + at) / 4];                      \
        vec4 four = vec4(0.0);                                                            \
        for (uint q = 0; q < 4; ++q) if (at + q < end) four[q] = AT(i, name, at + q);     \
        return four;                                                                      \
    }                                                                                     \
    void put_##name(uint at, uint end, vec4 four) {                                       \
        if (in_fours(i))                                                                  \
            name##_fours[(p.shift[i] + at) / 4] = four;                                   \
        else                                                                              \
            for (uint q = 0; q < 4; ++q) if (at + q < end) AT(i, name, at + q) = four[q]; \
    }
