// Doubles as two words, the low one first, for devices without doubles.

/// The double of the same value; 0 for what is below the normal floats.
uvec2 to_double(float x) {
    const uint bits = floatBitsToUint(x), sign = bits & 0x80000000u, exponent = bits >> 23 & 255;
    if (exponent == 0) return uvec2(0, sign);
    return uvec2(bits << 29, sign | (exponent == 255 ? 2047 : exponent + 896) << 20 | bits >> 3 & 0xFFFFFu);
}

/// The nearest float of a double that is not negative: infinity above the floats, 0 below the normal ones.
float from_double(uvec2 x) {
    const uint exponent = x.y >> 20, mantissa = x.y << 12 | x.x >> 20;
    const uint normal = (exponent - 896 << 23 | mantissa >> 9) + (mantissa >> 8 & 1);
    const uint infinite = 0x7F800000u | uint(all(bvec2(exponent == 2047, mantissa != 0)));
    return uintBitsToFloat(mix(mix(normal, 0, exponent < 897), infinite, exponent > 1150));
}
