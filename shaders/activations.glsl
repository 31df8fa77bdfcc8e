// Access to activations of f32 or f16. For f16, `at` is a multiple of two, or for vec4 of four.

#define ACTIVATION(operand, access, name)                                                            \
    TENSOR(operand, access, float, name);                                                            \
    layout(binding = operand + 1, std430) access buffer name##_vec4_block { vec4 name##_vec4[]; };   \
    layout(binding = operand + 1, std430) access buffer name##_f16x2_block { uint name##_f16x2[]; }; \
    layout(binding = operand + 1, std430) access buffer name##_f16x4_block { uvec2 name##_f16x4[]; };

/// get_NAME(at): number `at`, which may be odd. get_vec4_NAME(at, count): the four from `at` on; 0 beyond the first `count`.
#define ACTIVATION_IN(operand, access, name)                                                 \
    ACTIVATION(operand, access, name)                                                        \
    float get_##name(uint at) {                                                              \
        if (TYPE(name) != kF16) return AT(name, at);                                         \
        return unpackHalf2x16(name##_f16x2[(SHIFT(name) + at) / 2])[at & 1];                 \
    }                                                                                        \
    vec4 get_vec4_##name(uint at, uint count) {                                              \
        if (TYPE(name) == kF16) {                                                            \
            const uvec2 words = name##_f16x4[(SHIFT(name) + at) / 4];                        \
            return vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y));                   \
        }                                                                                    \
        if (is_vec4(operand)) return name##_vec4[(SHIFT(name) + at) / 4];                    \
        return vec4(AT(name, at), count > 1 ? AT(name, at + 1) : 0.0,                        \
                    count > 2 ? AT(name, at + 2) : 0.0, count > 3 ? AT(name, at + 3) : 0.0); \
    }

/// put_vec2_NAME(at, numbers, count): stores the first `count` of two numbers from `at` on. put_vec4_NAME: of four.
#define ACTIVATION_OUT(operand, access, name)                                                                 \
    ACTIVATION(operand, access, name)                                                                         \
    void put_vec2_##name(uint at, vec2 numbers, uint count) {                                                 \
        if (TYPE(name) == kF16) {                                                                             \
            name##_f16x2[(SHIFT(name) + at) / 2] = packHalf2x16(numbers);                                     \
        } else {                                                                                              \
            AT(name, at) = numbers.x;                                                                         \
            if (count > 1) AT(name, at + 1) = numbers.y;                                                      \
        }                                                                                                     \
    }                                                                                                         \
    void put_vec4_##name(uint at, vec4 numbers, uint count) {                                                 \
        if (TYPE(name) == kF16) {                                                                             \
            name##_f16x4[(SHIFT(name) + at) / 4] = uvec2(packHalf2x16(numbers.xy), packHalf2x16(numbers.zw)); \
        } else if (is_vec4(operand)) {                                                                        \
            name##_vec4[(SHIFT(name) + at) / 4] = numbers;                                                    \
        } else {                                                                                              \
            put_vec2_##name(at, numbers.xy, count);                                                           \
            if (count > 2) put_vec2_##name(at + 2, numbers.zw, count - 2);                                    \
        }                                                                                                     \
    }
