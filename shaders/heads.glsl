// What the shaders of attention share: which rows an invocation computes, kRows of them side by side so that what is read of
// the other rows is used often, and the D numbers of a head's part of a row as kQuads vectors in registers.

const uint kQuads = (D + 3) / 4;
const uint kRows = D > 32 ? 1 : D > 16 ? 2 : 4;  // as in dispatch.cpp

/// A tensor i that is read (ROWS) or written (RESULT) by numbers 4 j to 4 j + 3 of the D from `start` on; what is behind the
/// last reads as zeros.
#define ROWS(i, name) ACTIVATION(i, name)
#define RESULT(i, name) ACTIVATION(i, name)
#define QUAD(i, name, start, j)                                                                  \
    vec4(get_##name((start) + 4 * (j)), 4 * (j) + 1 < D ? get_##name((start) + 4 * (j) + 1) : 0.0, \
         4 * (j) + 2 < D ? get_##name((start) + 4 * (j) + 2) : 0.0,                                \
         4 * (j) + 3 < D ? get_##name((start) + 4 * (j) + 3) : 0.0)
#define STORE_QUAD(i, name, start, j, four)                                                      \
    {                                                                                            \
        const vec4 quad = four;                                                                  \
        put_##name((start) + 4 * (j), quad.xy, D - 4 * (j));                                     \
        if (4 * (j) + 2 < D) put_##name((start) + 4 * (j) + 2, quad.zw, D - 4 * (j) - 2);        \
    }

/// An invocation's head `unit` = (b,h), the first row of its sequence, where the head's part of a row begins, and the times
/// [begin, end) that its workgroup computes: it computes those at own + W a, a < kRows.
struct Place {
    uint unit, first, column, begin, end, own;
};

Place place() {
    const uint times = kRows * W, blocks = (p.T + times - 1) / times;
    const uint unit = group() / blocks, begin = group() % blocks * times;
    return Place(unit, unit / p.H * p.T, unit % p.H * D, begin, min(begin + times, p.T), begin + gl_LocalInvocationIndex);
}

/// Where row `time` of q begins in qkv; k and v are C and 2 C beyond.
uint row_of(Place at, uint time) { return (at.first + time) * 3 * p.C + at.column; }
uint row_of_y(Place at, uint time) { return (at.first + time) * p.C + at.column; }

/// Words of dropout's mask, with some that drops.glsl reads for nothing.
uint mask_words() { return kDrops == 0 ? 0 : 4 * ((p.B * p.H * p.T * p.T - 1) / 128 + 2); }

/// The factor of a weight whose bit is the lowest.
float factor(uint drops) { return kDrops == 0 ? 1.0 : (drops & 1) != 0 ? 0.0 : 65536.0 / float(65536 - p.dropout); }

/// Of attention_backward for attention_backward_keys: query t's lse and own, and the bits of 64 keys with s. They follow the mask
/// in memory.
uint record(Place at, uint t, uint s) {
    return mask_words() / 4 + (at.unit * p.T + t) * (kDrops == 0 ? 1 : (p.T + 63) / 64) + (kDrops == 0 ? 0 : s / 64);
}
