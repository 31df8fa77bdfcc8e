// The part of number.glsl that is needed once, not for each tensor.

bool in_blocks(uint type) { return type != kF32 && type != kF16 && type != kBF16; }

/// The two f16 or bf16 numbers of a word.
vec2 pair_of(uint type, uint word) {
    if (type == kF16) return vec2(from_f16(word & 0xFFFFu), from_f16(word >> 16));
    return uintBitsToFloat(uvec2(word << 16, word & 0xFFFF0000u));
}

/// Whether runs have an offset. These are also exactly the types whose blocks are whole words.
bool has_offset(uint type) {
    return type == kQ4_1 || type == kQ5_1 || type == kQ2_K || type == kQ4_K || type == kQ5_K;
}

// By type: bytes of a block; the scale's byte in it (the scale of the offsets follows it); the bias of levels.
const uint kBlockBytes[15] = uint[](0, 0, 18, 20, 0, 0, 22, 24, 34, 0, 84, 110, 144, 176, 210);
const uint kScaleByte[15] = uint[](0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 80, 108, 0, 0, 208);
const float kBias[15] = float[](0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 16.0, 0.0, 128.0, 0.0, 0.0, 4.0, 0.0, 0.0, 32.0);

/// Eight numbers that share a scale: scale * (level - bias) - offset, with a byte for each level.
struct Run {
    uvec2 levels;
    float scale, offset;
};

/// Four levels, minus the bias.
vec4 levels_of(uint type, uint bytes) {
    return vec4(bytes & 255u, bytes >> 8 & 255u, bytes >> 16 & 255u, bytes >> 24) - kBias[min(type, 14)];
}

/// Its numbers.
vec4[2] numbers_of(uint type, Run run) {
    vec4 numbers[2];
    for (uint i = 0; i < 2; ++i) {
        numbers[i] = run.scale * levels_of(type, run.levels[i]);
        if (has_offset(type)) numbers[i] -= run.offset;
    }
    return numbers;
}

/// Its dot product with eight numbers.
float product(uint type, Run run, vec4 low, vec4 high) {
    const vec4 products = fma(low, levels_of(type, run.levels.x), high * levels_of(type, run.levels.y));
    const float sum = run.scale * (products.x + products.y + (products.z + products.w));
    return has_offset(type) ? fma(-run.offset, dot(low + high, vec4(1.0)), sum) : sum;
}

/// Its number i.
float number_of(uint type, Run run, uint i) {
    return run.scale * levels_of(type, (i < 4 ? run.levels.x : run.levels.y) >> 8 * (i % 4)).x - run.offset;
}

/// Eight bytes from three words: the first two, or if they begin in the middle of the first word, parts of all three.
uvec2 eight_of(uint first, uint second, uint third, bool middle) {
    return middle ? uvec2(first >> 16 | second << 16, second >> 16 | third << 16) : uvec2(first, second);
}

/// Spreads the lowest eight bits, one into each byte.
uvec2 bytes_of_bits(uint bits) { return uvec2(bits & 15u, bits >> 4 & 15u) * 0x204081u & 0x01010101u; }
