// What the shaders of attention share. An invocation computes kRows rows of one head side by side, so that what it reads of the
// other rows is used more than once; it holds the D numbers of a head's part of a row as kVec4s vectors in registers.
#include "activations.glsl"

const uint kVec4s = (D + 3) / 4;
const uint kRows = D > 32 ? 1 : D > 16 ? 2 : 4;  // as in dispatch_attention.cpp

// Numbers 4 j to 4 j + 3 of the D from `start` on.
#define GET_HEAD(name, start, j) get_vec4_##name((start) + 4 * (j), D - 4 * (j))
#define PUT_HEAD(name, start, j, numbers) put_vec4_##name((start) + 4 * (j), numbers, D - 4 * (j))

/// What an invocation computes: of head `head` of sequence b, number `unit` of all heads, the rows own + W a for a < kRows, which
/// are among the rows [begin, end) of the workgroup.
struct Place {
    uint unit, b, head, begin, end, own;
};

/// Sequences have `heads` heads, and `rows` rows of which the first `live` are in use.
Place place(uint heads, uint rows, uint live) {
    const uint length = kRows * W, blocks = (rows + length - 1) / length;
    const uint unit = group() / blocks, begin = group() % blocks * length;
    return Place(unit, unit / heads, unit % heads, begin, min(begin + length, live), begin + gl_LocalInvocationIndex);
}

/// Whether there is anything to compute for the workgroup.
bool is_there(Place at) { return at.b < p.B && at.begin < at.end; }

/// Rows of queries and keys of a sequence that are in use.
uint queries() { return p.B == 1 ? live_rows() : p.T; }
uint keys() { return p.B == 1 ? live_key_rows() : p.S; }

/// The head of keys and values that a head of queries sees.
uint key_head(uint head) { return head / (p.H / p.G); }

// Where rows begin.
uint row_of_q(Place at, uint t) { return (at.b * p.T + t) * p.q_stride + at.head * D; }
uint row_of_y(Place at, uint t) { return (at.b * p.T + t) * p.C + at.head * D; }
uint row_of_k(Place at, uint s) { return (at.b * p.S + s) * p.k_stride + key_head(at.head) * D; }
uint row_of_v(Place at, uint s) { return (at.b * p.S + s) * p.v_stride + key_head(at.head) * D; }

/// Dropout's factor of a weight whose bit is the lowest.
float factor(uint bits) { return kDropout == 0 ? 1.0 : (bits & 1) != 0 ? 0.0 : 65536.0 / float(65536 - p.dropout); }
