// Dropout masks, the same as the CPU's (src/core/philox.h): Philox4x32-10 of Salmon et al. 2011.
uvec4 philox(uvec4 counter, uint k0, uint k1) {
    for (int i = 0; i < 10; ++i) {
        uint a, a_high, b, b_high;
        umulExtended(0xD2511F53u, counter.x, a_high, a);
        umulExtended(0xCD9E8D57u, counter.z, b_high, b);
        counter = uvec4(b_high ^ counter.y ^ k0, b, a_high ^ counter.w ^ k1, a);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return counter;
}

/// Factor of element `index` of mask p.stream: 0 or 1 / (1 - probability).
float dropout_factor(uint index) {
    if (p.dropout == 0) return 1.0;
    const uint block = index / 128 * 16 + index % 16, half_of = index % 128 / 16;
    const uvec4 words = philox(uvec4(block, 0, p.stream, step_values.index), step_values.seed[0], step_values.seed[1]);
    const uint bits = words[half_of / 2] >> half_of % 2 * 16 & 0xFFFFu;
    return bits < p.dropout ? 0.0 : 65536.0 / float(65536 - p.dropout);
}
