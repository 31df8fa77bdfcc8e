// Doubles as two words, the low one first, for devices without doubles.

/// Converts a float to a double; subnormal floats become 0.
uvec2 to_double(float x) {
    const uint bits = floatBitsToUint(x), sign = bits & 0x80000000u, exponent = bits >> 23 & 255;
    if (exponent == 0) return uvec2(0, sign);
    return uvec2(bits << 29, sign | (exponent == 255 ? 2047 : exponent + 896) << 20 | bits >> 3 & 0xFFFFFu);
}

/// Rounds a non-negative double to a float: infinity above the largest float, 0 below the normal floats.
float from_double(uvec2 x) {
    const uint exponent = x.y >> 20, mantissa = x.y << 12 | x.x >> 20;
    const uint normal = (exponent - 896 << 23 | mantissa >> 9) + (mantissa >> 8 & 1);
    const uint infinite = 0x7F800000u | uint(all(bvec2(exponent == 2047, mantissa != 0)));
    return uintBitsToFloat(mix(mix(normal, 0, exponent < 897), infinite, exponent > 1150));
}
