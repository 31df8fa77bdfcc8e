// Doubles as two words, the low one first, for devices without such numbers.

/// The double of the same value; 0 for what is below the normal floats.
uvec2 to_double(float x) {
    const uint bits = floatBitsToUint(x), sign = bits & 0x80000000u, exponent = bits >> 23 & 255;
    if (exponent == 0) return uvec2(0, sign);
    return uvec2(bits << 29, sign | (exponent == 255 ? 2047 : exponent + 896) << 20 | bits >> 3 & 0xFFFFFu);
}

/// The nearest float of a double that is not negative: infinity above the floats, 0 below the normal ones.
float from_double(uvec2 x) {
    const uint exponent = x.y >> 20, mantissa = x.y << 12 | x.x >> 20;
    if (exponent == 2047 || exponent > 1150) return uintBitsToFloat(0x7F800000u | uint(exponent == 2047 && mantissa != 0));
    if (exponent < 897) return 0.0;
    return uintBitsToFloat((exponent - 896 << 23 | mantissa >> 9) + (mantissa >> 8 & 1));
}
