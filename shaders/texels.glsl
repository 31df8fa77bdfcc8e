// Tensors of floats, or of half floats, that devices which are CPUs read fast: their drivers fetch four floats of each invocation at once from texel
// buffers, but number by number from storage buffers, and from memory that a workgroup shares no faster.

// Numbers column to column + 3 of a row of tensor i, whose rows have `length` numbers; 0 from `end` on. In fours, length,
// column and end are multiples of four.
#define TEXELS(i, name)                                                                           \
    layout(binding = i + 1) uniform samplerBuffer name##_texels;                                  \
    vec4 name(uint row, uint length, uint column, uint end) {                                     \
        const uint at = p.shift[i] + row * length;                                                \
        if (in_fours(i)) return texelFetch(name##_texels, int((at + min(column, end - 4)) / 4));  \
        vec4 four;                                                                                \
        for (uint q = 0; q < 4; ++q) {                                                            \
            const float number = texelFetch(name##_texels, int(at + min(column + q, end - 1))).x; \
            four[q] = column + q < end ? number : 0.0;                                            \
        }                                                                                         \
        return four;                                                                              \
    }                                                                                             \
    vec4 get_##name(uint at, uint end) { return name(0, 0, at, end); }

#include "fours.glsl"

/// The first `count` of four numbers, and zeros.
vec4 first_of(vec4 four, uint count) {
    for (uint q = 0; q < 4; ++q) four[q] = q < count ? four[q] : 0.0;
    return four;
}

/// Word i of any tensor: such drivers give the bits of floats as they are.
uint texel_bits(samplerBuffer texels, uint i) { return floatBitsToUint(texelFetch(texels, int(i)).x); }
