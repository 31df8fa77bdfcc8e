// What the shaders of attention share. An invocation computes kRows rows of one head side by side, so that what it reads of the
// other rows is used more than once; it holds the D numbers of a head's part of a row as kVec4s vectors in registers.
#include "activations.glsl"

const uint kVec4s = (D + 3) / 4;
const uint kRows = D > 32 ? 1 : D > 16 ? 2 : 4;  // as in dispatch.cpp

// Numbers 4 j to 4 j + 3 of the D from `start` on.
#define GET_HEAD(name, start, j) get_vec4_##name((start) + 4 * (j), D - 4 * (j))
#define PUT_HEAD(name, start, j, numbers) put_vec4_##name((start) + 4 * (j), numbers, D - 4 * (j))

/// What an invocation computes: its head, unit = (b,h); `first` is the first row of the sequence, `column` the head's first
/// column; of the times [begin, end) of the workgroup, own + W a for a < kRows.
struct Place {
    uint unit, first, column, begin, end, own;
};

/// The sequences have T rows each.
Place place(uint T) {
    const uint times = kRows * W, blocks = (p.T + times - 1) / times;
    const uint unit = group() / blocks, begin = group() % blocks * times;
    return Place(unit, unit / p.H * T, unit % p.H * D, begin, min(begin + times, T), begin + gl_LocalInvocationIndex);
}

/// Whether there is anything to compute for the workgroup.
bool is_there(Place at) { return at.unit < p.B * p.H && at.begin < at.end; }

/// Where row `time` of q begins in qkv; k and v follow after C and 2 C.
uint row_of(Place at, uint time) { return (at.first + time) * 3 * p.C + at.column; }
uint row_of_y(Place at, uint time) { return (at.first + time) * p.C + at.column; }

/// Words of the dropout mask, and of padding: mask_bits.glsl reads the word after the last, too.
uint mask_words() { return kDropout == 0 ? 0 : 4 * ((p.B * p.H * p.T * p.T - 1) / 128 + 2); }

/// Dropout's factor of a weight whose bit is the lowest.
float factor(uint bits) { return kDropout == 0 ? 1.0 : (bits & 1) != 0 ? 0.0 : 65536.0 / float(65536 - p.dropout); }

/// Where attention_backward leaves for attention_backward_keys, behind the mask: lse and dy . y of query t, and the mask bits of
/// the 64 keys around s.
uint record(Place at, uint t, uint s) {
    return mask_words() / 4 + (at.unit * p.T + t) * (kDropout == 0 ? 1 : (p.T + 63) / 64) + (kDropout == 0 ? 0 : s / 64);
}
