// Shared by the shaders of attention. An invocation computes kRows rows of one head at a time, so that it uses what it reads of
// other rows more than once; it holds the D numbers of a row and head as kVec4s vectors in registers.
#include "activations.glsl"

const uint kVec4s = (D + 3) / 4;
const uint kRows = D > 32 ? 1 : D > 16 ? 2 : 4;  // as in dispatch_attention.cpp

// Numbers 4 j to 4 j + 3 of the D from `start` on.
#define GET_HEAD(name, start, j) get_vec4_##name((start) + 4 * (j), D - 4 * (j))
#define PUT_HEAD(name, start, j, numbers) put_vec4_##name((start) + 4 * (j), numbers, D - 4 * (j))

/// What an invocation computes: the rows own + W a, a < kRows, of those in [begin, end), the workgroup's rows of head `head` of
/// sequence b; `unit` numbers the heads of all sequences.
struct Place {
    uint unit, b, head, begin, end, own;
};

/// Sequences have `heads` heads, and `rows` rows of which the first `live` are in use.
Place place(uint heads, uint rows, uint live) {
    const uint length = kRows * W, blocks = (rows + length - 1) / length;
    const uint unit = group() / blocks, begin = group() % blocks * length;
    return Place(unit, unit / heads, unit % heads, begin, min(begin + length, live), begin + gl_LocalInvocationIndex);
}

/// Whether the workgroup has anything to compute.
bool is_there(Place at) { return at.b < p.B && at.begin < at.end; }

/// Rows of queries and keys in use of a sequence.
uint queries() { return p.B == 1 ? live_rows() : p.T; }
uint keys() { return p.B == 1 ? live_key_rows() : p.S; }

/// The head of keys and values that a head of queries sees.
uint key_head(uint head) { return head / (p.H / p.G); }

// Where rows begin.
uint row_of_q(Place at, uint t) { return (at.b * p.T + t) * p.q_stride + at.head * D; }
uint row_of_y(Place at, uint t) { return (at.b * p.T + t) * p.C + at.head * D; }
uint row_of_k(Place at, uint s) { return (at.b * p.S + s) * p.k_stride + key_head(at.head) * D; }
uint row_of_v(Place at, uint s) { return (at.b * p.S + s) * p.v_stride + key_head(at.head) * D; }

/// The dropout factor for the lowest bit.
float factor(uint bits) { return kDropout == 0 ? 1.0 : (bits & 1) != 0 ? 0.0 : 65536.0 / float(65536 - p.dropout); }
