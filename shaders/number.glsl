// Numbers of any type that weights have: NUMBER(type, start, index) is number `index` of words DATA(0), DATA(1) ..., and where types
// are in blocks, RUN(type, start, run) has the numbers 8 run to 8 run + 7. Included once for each such tensor, with these three
// defined. `start` is the tensor's shift: in numbers, of blocks in bytes. The layouts of blocks are those of
// src/ref/quantize_legacy.cpp and quantize_k.cpp. No device feature is needed for small types.
#ifndef BLOCKS
#define BLOCKS
#include "blocks.glsl"
#endif

#define BYTE(at) (DATA((at) >> 2) >> 8 * ((at) & 3) & 255u)
#define HALF(at) from_f16(DATA((at) >> 2) >> 8 * ((at) & 2) & 0xFFFFu)
#define EIGHT(at) uvec2(DATA((at) >> 2), DATA(((at) >> 2) + 1))
#define HALVES(at) halves_of(DATA((at) >> 2), DATA((at) + 4 >> 2), DATA((at) + 6 >> 2), ((at) & 2) != 0)

Run RUN(uint type, uint start, uint run) {
    // i: which of its block. k, two: the place of the first byte with these numbers' bits among 32 or 64.
    const uint size = block_bytes(type), runs = block_runs(type), at = start + run / runs * size, i = run % runs;
    const uint k = i % 4 * 8, two = i / 16 * 32 + k, two_shift = i % 16 / 4 * 2, g = i / 4;
    Run r;
    r.offset = 0.0;
    if (type == kQ8_0) {
        r.levels = HALVES(at + 2 + 8 * i) ^ 0x80808080u;
        r.scale = HALF(at);
    } else if (type == kQ4_0 || type == kQ4_1 || type == kQ5_0 || type == kQ5_1) {  // Q5_0, Q5_1: with fifth bits
        const bool fifth = type == kQ5_0 || type == kQ5_1;
        const uint high = has_offset(type) ? 4 : 2, from = at + high + (fifth ? 4 : 0) + i % 2 * 8;
        r.levels = (has_offset(type) ? EIGHT(from) : HALVES(from)) >> i / 2 * 4 & 0x0F0F0F0Fu;
        if (fifth) r.levels |= bytes_of_bits(BYTE(at + high + i)) << 4;
        r.scale = HALF(at);
        if (has_offset(type)) r.offset = -HALF(at + 2);
    } else if (type == kQ2_K) {
        const uint scales = BYTE(at + i / 2);
        r.levels = EIGHT(at + 16 + two) >> two_shift & 0x03030303u;
        r.scale = HALF(at + 80) * float(scales & 15);
        r.offset = HALF(at + 82) * float(scales >> 4);
    } else if (type == kQ3_K) {
        const uint h = i / 2, s = BYTE(at + 96 + h % 8) >> h / 8 * 4 & 15 | (BYTE(at + 104 + h % 4) >> h / 4 * 2 & 3) << 4;
        r.levels = HALVES(at + 32 + two) >> two_shift & 0x03030303u | (HALVES(at + k) >> g & 0x01010101u) << 2;
        r.scale = HALF(at + 108) * (float(s) - 32.0);
    } else if (type == kQ6_K) {
        r.levels = HALVES(at + i / 16 * 64 + i % 8 * 8) >> i % 16 / 8 * 4 & 0x0F0F0F0Fu;
        r.levels |= (HALVES(at + 128 + two) >> two_shift & 0x03030303u) << 4;
        r.scale = HALF(at + 208) * float(bitfieldExtract(int(BYTE(at + 192 + i / 2)), 0, 8));
    } else {  // Q4_K, Q5_K
        const bool fifth = type == kQ5_K;
        r.levels = EIGHT(at + (fifth ? 48 : 16) + g / 2 * 32 + k) >> g % 2 * 4 & 0x0F0F0F0Fu;
        if (fifth) r.levels |= (EIGHT(at + 16 + k) >> g & 0x01010101u) << 4;
        const uint first = BYTE(at + 4 + g % 4), second = BYTE(at + 8 + g % 4), third = BYTE(at + 12 + g % 4);
        r.scale = HALF(at) * float(g < 4 ? first & 63 : third & 15 | first >> 6 << 4);
        r.offset = HALF(at + 2) * float(g < 4 ? second & 63 : third >> 4 | second >> 6 << 4);
    }
    return r;
}

float NUMBER(uint type, uint start, uint index) {
    if (type == kF32) return uintBitsToFloat(DATA(start + index));
    return halves(type, DATA((start + index) >> 1))[(start + index) & 1];
}

#undef BYTE
#undef HALF
#undef EIGHT
#undef RUN
#undef NUMBER
#undef DATA
