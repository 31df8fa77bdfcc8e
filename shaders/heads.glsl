// Numbers of one head of a row, four at a time: kQuads vectors that stay in registers, zeros behind the last of the D numbers.
const uint kQuads = (D + 3) / 4;

#define QUAD(i, name, start, j)                                                                              \
    vec4(AT(i, name, (start) + 4 * (j)), 4 * (j) + 1 < D ? AT(i, name, (start) + 4 * (j) + 1) : 0.0,         \
         4 * (j) + 2 < D ? AT(i, name, (start) + 4 * (j) + 2) : 0.0,                                         \
         4 * (j) + 3 < D ? AT(i, name, (start) + 4 * (j) + 3) : 0.0)

#define STORE_QUAD(i, name, start, j, four)                                   \
    {                                                                         \
        const vec4 quad = four;                                               \
        AT(i, name, (start) + 4 * (j)) = quad[0];                             \
        if (4 * (j) + 1 < D) AT(i, name, (start) + 4 * (j) + 1) = quad[1];    \
        if (4 * (j) + 2 < D) AT(i, name, (start) + 4 * (j) + 2) = quad[2];    \
        if (4 * (j) + 3 < D) AT(i, name, (start) + 4 * (j) + 3) = quad[3];    \
    }

/// Where the workgroup is: unit (b,h) = b * H + h, rows of its sequence [first, first + T), of which it computes one per
/// invocation, from time t0 on; q, k and v of the head begin at column and at C and 2 C beyond.
struct Place {
    uint unit, first, column, t0;
};

Place place() {
    const uint blocks = (p.T + W - 1) / W, unit = group() / blocks;
    return Place(unit, unit / p.H * p.T, unit % p.H * D, group() % blocks * W);
}
