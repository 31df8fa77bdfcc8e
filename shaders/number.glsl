// Numbers of any type that weights have: NUMBER(type, start, index) is number `index` of the array of words DATA. Included once
// for each such tensor, with these two defined. `start` is the tensor's shift: in numbers, of blocks in bytes. The layouts of
// blocks are those of src/ref/quantize_legacy.cpp and quantize_k.cpp. No device feature is needed for small types.
#define BYTE(at) (DATA[(at) >> 2] >> 8 * ((at) & 3) & 255u)
#define HALF(at) from_f16(DATA[(at) >> 2] >> 8 * ((at) & 2) & 0xFFFFu)
#define SIGNED(at) float(bitfieldExtract(int(BYTE(at)), 0, 8))

float NUMBER(uint type, uint start, uint index) {
    if (type == kF32) return uintBitsToFloat(DATA[start + index]);
    if (type == kF16) return HALF(2 * (start + index));
    if (type == kBF16) return uintBitsToFloat(DATA[(start + index) >> 1] >> 16 * ((start + index) & 1) << 16);
    // Blocks of 32. Q4_1, Q5_1: with an offset m; Q5_0, Q5_1: with fifth bits.
    uint i = index % 32, at = start;
    if (type == kQ8_0) {
        at += index / 32 * 34;
        return HALF(at) * SIGNED(at + 2 + i);
    }
    if (type == kQ4_0 || type == kQ4_1 || type == kQ5_0 || type == kQ5_1) {
        const bool offset = type == kQ4_1 || type == kQ5_1, fifth = type == kQ5_0 || type == kQ5_1;
        const uint high = offset ? 4 : 2, low = high + (fifth ? 4 : 0);
        at += index / 32 * (low + 16);
        uint level = BYTE(at + low + i % 16) >> i / 16 * 4 & 15;
        if (fifth) level |= (BYTE(at + high + i / 8) >> i % 8 & 1) << 4;
        const float m = offset ? HALF(at + 2) : 0.0;
        return HALF(at) * (float(level) - (offset ? 0.0 : fifth ? 16.0 : 8.0)) + m;
    }
    // Blocks of 256. k: the place of the byte with this value's bits among those of 32 or 64 values; pair: the bits in it.
    i = index % 256;
    const uint k = i % 32, two = i / 128 * 32 + k, two_shift = i % 128 / 32 * 2;
    if (type == kQ2_K) {
        at += index / 256 * 84;
        const uint scales = BYTE(at + i / 16), level = BYTE(at + 16 + two) >> two_shift & 3;
        return HALF(at + 80) * float(scales & 15) * float(level) - HALF(at + 82) * float(scales >> 4);
    }
    if (type == kQ3_K) {
        at += index / 256 * 110;
        const uint g = i / 16, level = (BYTE(at + 32 + two) >> two_shift & 3) + (BYTE(at + k) >> i / 32 & 1) * 4;
        const uint s = BYTE(at + 96 + g % 8) >> g / 8 * 4 & 15 | (BYTE(at + 104 + g % 4) >> g / 4 * 2 & 3) << 4;
        return HALF(at + 108) * (float(s) - 32.0) * (float(level) - 4.0);
    }
    if (type == kQ6_K) {
        at += index / 256 * 210;
        const uint low = BYTE(at + i / 128 * 64 + i % 64) >> i % 128 / 64 * 4 & 15;
        const uint level = low | (BYTE(at + 128 + two) >> two_shift & 3) << 4;
        return HALF(at + 208) * SIGNED(at + 192 + i / 16) * (float(level) - 32.0);
    }
    const bool fifth = type == kQ5_K;  // or Q4_K
    at += index / 256 * (fifth ? 176 : 144);
    const uint g = i / 32;
    uint level = BYTE(at + (fifth ? 48 : 16) + i / 64 * 32 + k) >> i % 64 / 32 * 4 & 15;
    if (fifth) level |= (BYTE(at + 16 + k) >> g & 1) << 4;
    const uint first = BYTE(at + 4 + g % 4), second = BYTE(at + 8 + g % 4), third = BYTE(at + 12 + g % 4);
    const uint s = g < 4 ? first & 63 : third & 15 | first >> 6 << 4;
    const uint m = g < 4 ? second & 63 : third >> 4 | second >> 6 << 4;
    return HALF(at) * float(s) * float(level) - HALF(at + 2) * float(m);
}

#undef BYTE
#undef HALF
#undef SIGNED
#undef NUMBER
#undef DATA
