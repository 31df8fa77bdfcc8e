// What the shaders of attention share: which rows an invocation computes, kRows of them side by side so that what is read of
// the other rows is used often, and the D numbers of a head's part of a row as kQuads vectors in registers.
#include "dropout.glsl"

const uint kQuads = (D + 3) / 4;
const uint kRows = D > 32 ? 1 : D > 16 ? 2 : 4;  // as in dispatch.cpp

// kHolds: whether what is needed twice of the other rows is held in between, not read again. GPUs need the registers for more,
// and read fast what the whole workgroup reads.

/// A tensor i that is read (ROWS) or written (RESULT) by numbers 4 j to 4 j + 3 of the D from `start` on; what is behind the
/// last reads as zeros.
#ifdef TEXELS
const bool kHolds = true;
#define ROWS(i, name) TEXELS(i, name)
#define RESULT(i, name) FOURS(i, name)
#define QUAD(i, name, start, j) name(0, 0, (start) + 4 * (j), (start) + D)
#define STORE_QUAD(i, name, start, j, four) put_##name((start) + 4 * (j), (start) + D, four)
#else
const bool kHolds = false;
#define ROWS(i, name) TENSOR(i, float, name);
#define RESULT(i, name) TENSOR(i, float, name);
#define QUAD(i, name, start, j)                                                                      \
    vec4(AT(i, name, (start) + 4 * (j)), 4 * (j) + 1 < D ? AT(i, name, (start) + 4 * (j) + 1) : 0.0, \
         4 * (j) + 2 < D ? AT(i, name, (start) + 4 * (j) + 2) : 0.0,                                 \
         4 * (j) + 3 < D ? AT(i, name, (start) + 4 * (j) + 3) : 0.0)
#define STORE_QUAD(i, name, start, j, four)                                \
    {                                                                      \
        const vec4 quad = four;                                            \
        AT(i, name, (start) + 4 * (j)) = quad[0];                          \
        if (4 * (j) + 1 < D) AT(i, name, (start) + 4 * (j) + 1) = quad[1]; \
        if (4 * (j) + 2 < D) AT(i, name, (start) + 4 * (j) + 2) = quad[2]; \
        if (4 * (j) + 3 < D) AT(i, name, (start) + 4 * (j) + 3) = quad[3]; \
    }
#endif

/// A workgroup's head `unit` = (b,h), the first row of its sequence, where the head's part of a row begins, and the times
/// [begin, end) that it computes: invocation i those at begin + i + W a, a < kRows.
struct Place {
    uint unit, first, column, begin, end;
};

Place place() {
    const uint blocks = (p.T + kRows * W - 1) / (kRows * W), unit = group() / blocks, begin = group() % blocks * kRows * W;
    return Place(unit, unit / p.H * p.T, unit % p.H * D, begin, min(begin + kRows * W, p.T));
}

/// Where row `time` of q begins in qkv; k and v are C and 2 C beyond.
uint row_of(Place at, uint time) { return (at.first + time) * 3 * p.C + at.column; }
uint row_of_y(Place at, uint time) { return (at.first + time) * p.C + at.column; }

/// Factor of the weight of key s for query t.
float factor(Place at, uint t, uint s) { return kDrops == 0 ? 1.0 : dropout_factor((at.unit * p.T + t) * p.T + s); }
