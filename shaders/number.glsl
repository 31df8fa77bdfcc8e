// Reads weights of any type from the words DATA(0), DATA(1) ...: NUMBER(type, start, index) is number `index`; of types in blocks
// RUN(type, start, run) is the numbers 8 run to 8 run + 7. Include this once for each tensor, with DATA and names for NUMBER and RUN
// defined. `start` is the tensor's shift. The layouts of blocks are those of quantize_legacy.cpp and quantize_k.cpp. Needs no
// device features for 8- or 16-bit types.
#ifndef BLOCKS
#define BLOCKS
#include "blocks.glsl"
#endif

#define BYTE(at) (DATA((at) >> 2) >> 8 * ((at) & 3) & 255u)
#define EIGHT(at)                                                                                          \
    eight_of(DATA((at) >> 2), DATA((at) + 4 >> 2), has_offset(type) ? 0 : DATA((at) + 6 >> 2),             \
             !has_offset(type) && ((at) & 2) != 0)

Run RUN(uint type, uint start, uint run) {
    const uint runs = type <= kQ8_0 ? 4 : 32, size = kBlockBytes[min(type, 14)];
    const uint at = start + run / runs * size, i = run % runs;
    // In blocks of 256: where the first byte of the run is among 32 bytes; its group of 32 numbers; for 2-bit fields, byte and shift.
    const uint k = i % 4 * 8, g = i / 4, two = i / 16 * 32 + k, two_shift = i % 16 / 4 * 2;
    // The bytes with the lower and the upper bits of the levels, and the integer factors of scale and offset.
    uint low = 0, low_shift = 0, low_mask = 0x0F0F0F0Fu, high = k, high_shift = g, high_mask = 0x01010101u, s = 1, m = 1;
    if (type == kQ8_0) {
        low = 2 + 8 * i, low_mask = ~0;
    } else if (type < kQ8_0) {  // Q4_0, Q4_1, Q5_0, Q5_1
        low = size - 16 + i % 2 * 8, low_shift = i / 2 * 4;
    } else if (type == kQ2_K) {
        low = 16 + two, low_shift = two_shift, low_mask = 0x03030303u;
        const uint both = BYTE(at + i / 2);
        s = both & 15, m = both >> 4;
    } else if (type == kQ3_K) {
        low = 32 + two, low_shift = two_shift, low_mask = 0x03030303u;
        const uint h = i / 2;
        s = (BYTE(at + 96 + h % 8) >> h / 8 * 4 & 15 | (BYTE(at + 104 + h % 4) >> h / 4 * 2 & 3) << 4) - 32;
    } else if (type == kQ6_K) {
        low = i / 16 * 64 + i % 8 * 8, low_shift = i % 16 / 8 * 4;
        high = 128 + two, high_shift = two_shift, high_mask = 0x03030303u;
        s = bitfieldExtract(int(BYTE(at + 192 + i / 2)), 0, 8);
    } else {  // Q4_K, Q5_K
        low = size - 128 + g / 2 * 32 + k, low_shift = g % 2 * 4, high += 16;
        const uint first = BYTE(at + 4 + g % 4), second = BYTE(at + 8 + g % 4), third = BYTE(at + 12 + g % 4);
        s = g < 4 ? first & 63 : third & 15 | first >> 6 << 4;
        m = g < 4 ? second & 63 : third >> 4 | second >> 6 << 4;
    }
    uvec2 levels = EIGHT(at + low) >> low_shift & low_mask;
    if (type == kQ8_0) levels ^= 0x80808080u;
    if (type == kQ5_0 || type == kQ5_1) levels |= bytes_of_bits(BYTE(at + size - 20 + i)) << 4;
    if (type == kQ3_K || type == kQ5_K || type == kQ6_K)
        levels |= (EIGHT(at + high) >> high_shift & high_mask) << (type == kQ3_K ? 2 : 4);
    const uint place = at + kScaleByte[min(type, 14)], scales = DATA(place >> 2);  // the offset's is in the same word
    return Run(levels, from_f16(scales >> 8 * (place & 2) & 0xFFFFu) * float(int(s)),
               has_offset(type) ? from_f16(scales >> 16) * (type < kQ8_0 ? -1.0 : float(m)) : 0.0);
}

float NUMBER(uint type, uint start, uint index) {
    if (type == kF32) return uintBitsToFloat(DATA(start + index));
    return pair_of(type, DATA((start + index) >> 1))[(start + index) & 1];
}

#undef BYTE
#undef EIGHT
#undef RUN
#undef NUMBER
#undef DATA
