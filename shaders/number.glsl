// Numbers of any type that weights have: NUMBER(type, start, index) is number `index` of the array of words DATA, and where types
// are in blocks, RUN(type, start, run) has the numbers 8 run to 8 run + 7. Included once for each such tensor, with these three
// defined. `start` is the tensor's shift: in numbers, of blocks in bytes. The layouts of blocks are those of
// src/ref/quantize_legacy.cpp and quantize_k.cpp. No device feature is needed for small types.
#ifndef BLOCKS
#define BLOCKS
#include "blocks.glsl"
#endif

#define BYTE(at) (DATA[(at) >> 2] >> 8 * ((at) & 3) & 255u)
#define HALF(at) from_f16(DATA[(at) >> 2] >> 8 * ((at) & 2) & 0xFFFFu)
#define EIGHT(at) uvec2(DATA[(at) >> 2], DATA[((at) >> 2) + 1])
#define HALVES(at) halves_of(DATA[(at) >> 2], DATA[(at) + 4 >> 2], DATA[(at) + 6 >> 2], ((at) & 2) != 0)

Run RUN(uint type, uint start, uint run) {
    // Blocks of 32. Q4_1, Q5_1: with an offset; Q5_0, Q5_1: with fifth bits.
    uint i = run % 4, at = start;
    if (type == kQ8_0) {
        at += run / 4 * 34;
        return Run(HALVES(at + 2 + 8 * i) ^ 0x80808080u, HALF(at), 0.0);
    }
    if (type == kQ4_0 || type == kQ4_1 || type == kQ5_0 || type == kQ5_1) {
        const bool fifth = type == kQ5_0 || type == kQ5_1;
        const uint high = has_offset(type) ? 4 : 2, low = high + (fifth ? 4 : 0);
        at += run / 4 * (low + 16);
        const uint from = at + low + i % 2 * 8;
        uvec2 levels = (has_offset(type) ? EIGHT(from) : HALVES(from)) >> i / 2 * 4 & 0x0F0F0F0Fu;
        if (fifth) levels |= bytes_of_bits(BYTE(at + high + i)) << 4;
        return Run(levels, HALF(at), has_offset(type) ? -HALF(at + 2) : 0.0);
    }
    // Blocks of 256. k, two: the place of the first byte with these numbers' bits among 32 or 64.
    i = run % 32;
    const uint k = i % 4 * 8, two = i / 16 * 32 + k, two_shift = i % 16 / 4 * 2;
    if (type == kQ2_K) {
        at += run / 32 * 84;
        const uint scales = BYTE(at + i / 2);
        return Run(EIGHT(at + 16 + two) >> two_shift & 0x03030303u, HALF(at + 80) * float(scales & 15),
                   HALF(at + 82) * float(scales >> 4));
    }
    if (type == kQ3_K) {
        at += run / 32 * 110;
        const uint g = i / 2, s = BYTE(at + 96 + g % 8) >> g / 8 * 4 & 15 | (BYTE(at + 104 + g % 4) >> g / 4 * 2 & 3) << 4;
        const uvec2 low = HALVES(at + 32 + two) >> two_shift & 0x03030303u, high = HALVES(at + k) >> i / 4 & 0x01010101u;
        return Run(low | high << 2, HALF(at + 108) * (float(s) - 32.0), 0.0);
    }
    if (type == kQ6_K) {
        at += run / 32 * 210;
        const uvec2 low = HALVES(at + i / 16 * 64 + i % 8 * 8) >> i % 16 / 8 * 4 & 0x0F0F0F0Fu;
        const uvec2 high = HALVES(at + 128 + two) >> two_shift & 0x03030303u;
        return Run(low | high << 4, HALF(at + 208) * float(bitfieldExtract(int(BYTE(at + 192 + i / 2)), 0, 8)), 0.0);
    }
    const bool fifth = type == kQ5_K;  // or Q4_K
    at += run / 32 * (fifth ? 176 : 144);
    const uint g = i / 4;
    uvec2 levels = EIGHT(at + (fifth ? 48 : 16) + g / 2 * 32 + k) >> g % 2 * 4 & 0x0F0F0F0Fu;
    if (fifth) levels |= (EIGHT(at + 16 + k) >> g & 0x01010101u) << 4;
    const uint first = BYTE(at + 4 + g % 4), second = BYTE(at + 8 + g % 4), third = BYTE(at + 12 + g % 4);
    const uint s = g < 4 ? first & 63 : third & 15 | first >> 6 << 4;
    const uint m = g < 4 ? second & 63 : third >> 4 | second >> 6 << 4;
    return Run(levels, HALF(at) * float(s), HALF(at + 2) * float(m));
}

float NUMBER(uint type, uint start, uint index) {
    if (type == kF32) return uintBitsToFloat(DATA[start + index]);
    return halves(type, DATA[(start + index) >> 1])[(start + index) & 1];
}

#undef BYTE
#undef HALF
#undef EIGHT
#undef RUN
#undef NUMBER
#undef DATA
