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

/// The random numbers for elements block % 16 + 16 h, 0 <= h < 8, of group block / 16 of 128 elements.
uvec4 dropout_block(uint block) {
    if (kDropout == 0) return uvec4(0);
    return philox(uvec4(block, 0, p.stream, step_values.index), step_values.seed[0], step_values.seed[1]);
}

/// Factor of element h of a block: 0 or 1 / (1 - probability).
float dropout_factor(uvec4 block, uint h) {
    const uint bits = block[h / 2] >> h % 2 * 16 & 0xFFFFu;
    return bits < p.dropout ? 0.0 : 65536.0 / float(65536 - p.dropout);
}

/// Factor of element `index` of mask p.stream.
float dropout_factor(uint index) {
    if (kDropout == 0) return 1.0;
    return dropout_factor(dropout_block(index / 128 * 16 + index % 16), index % 128 / 16);
}
