// What number.glsl makes numbers of.

bool in_blocks(uint type) { return type != kF32 && type != kF16 && type != kBF16; }

/// The two numbers of a word.
vec2 halves(uint type, uint word) {
    if (type == kF16) return vec2(from_f16(word & 0xFFFFu), from_f16(word >> 16));
    return uintBitsToFloat(uvec2(word << 16, word & 0xFFFF0000u));
}

/// Whether runs have an offset. These types' blocks, and no others, are whole words.
bool has_offset(uint type) {
    return type == kQ4_1 || type == kQ5_1 || type == kQ2_K || type == kQ4_K || type == kQ5_K;
}

/// Bytes of a block, eights of its numbers, and at which byte its scale is, which the offset's follows.
uint bytes_of_block(uint type) {
    return type == kQ8_0   ? 34
           : type == kQ4_0 ? 18
           : type == kQ4_1 ? 20
           : type == kQ5_0 ? 22
           : type == kQ5_1 ? 24
           : type == kQ2_K ? 84
           : type == kQ3_K ? 110
           : type == kQ4_K ? 144
           : type == kQ5_K ? 176
                           : 210;
}
uint runs_of_block(uint type) { return type <= kQ8_0 ? 4 : 32; }
uint scale_of_block(uint type) { return type == kQ2_K ? 80 : type == kQ3_K ? 108 : type == kQ6_K ? 208 : 0; }

/// Eight numbers that share a scale, scale * (level - bias) - offset, of levels in bytes.
struct Run {
    uvec2 levels;
    float scale, offset;
};

float bias_of(uint type) {
    return type == kQ8_0 ? 128.0 : type == kQ6_K ? 32.0 : type == kQ5_0 ? 16.0 : type == kQ4_0 ? 8.0 : type == kQ3_K ? 4.0 : 0.0;
}

/// Four levels, less the bias.
vec4 levels_of(uint type, uint bytes) {
    return vec4(bytes & 255u, bytes >> 8 & 255u, bytes >> 16 & 255u, bytes >> 24) - bias_of(type);
}

/// The numbers.
vec4[2] numbers_of(uint type, Run run) {
    vec4 numbers[2];
    for (uint i = 0; i < 2; ++i) {
        numbers[i] = run.scale * levels_of(type, run.levels[i]);
        if (has_offset(type)) numbers[i] -= run.offset;
    }
    return numbers;
}

/// The sum of their products with these.
float product(uint type, Run run, vec4 low, vec4 high) {
    const vec4 products = fma(low, levels_of(type, run.levels.x), high * levels_of(type, run.levels.y));
    const float sum = run.scale * (products.x + products.y + (products.z + products.w));
    return has_offset(type) ? fma(-run.offset, dot(low + high, vec4(1.0)), sum) : sum;
}

/// Number i of them.
float number_of(uint type, Run run, uint i) {
    return run.scale * levels_of(type, (i < 4 ? run.levels.x : run.levels.y) >> 8 * (i % 4)).x - run.offset;
}

/// Eight bytes, from those of three words where they begin in the middle of the first.
uvec2 eight_of(uint first, uint second, uint third, bool middle) {
    return middle ? uvec2(first >> 16 | second << 16, second >> 16 | third << 16) : uvec2(first, second);
}

/// The lowest eight bits, each in a byte.
uvec2 bytes_of_bits(uint bits) { return uvec2(bits & 15u, bits >> 4 & 15u) * 0x204081u & 0x01010101u; }
