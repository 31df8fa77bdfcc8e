// linear for D rows, so few that reading the weights dominates. A workgroup computes 8 columns n. A team of invocations works on
// two columns at a time, so that it reads x once for both; a team is a subgroup or, without subgroup arithmetic, half of the
// workgroup.
#version 450
#include "common.glsl"

const uint kGroupColumns = 8, kColumns = 2;

#include "linear.glsl"

layout(binding = Linear_x + 1, std430) readonly restrict buffer x_vec4_words { vec4 x_words[]; };
layout(binding = Linear_w + 1, std430) readonly restrict buffer w_vec4_words { uvec4 w_words[]; };

float sums[kColumns][D];  // the invocation's own
uint lane, lanes;         // its number in its team, and how many there are

#ifdef SUBGROUPS

uint teams() { return gl_NumSubgroups; }
uint team() { return gl_SubgroupID; }
uint members() { return subgroupAdd(1u); }
uint member() { return subgroupExclusiveAdd(1u); }

const uint kTotals = kGroupColumns * D;
shared float totals[kTotals + W];  // (D,8), and unused elements

/// Puts the team's sums into `totals`, from `column` on. As in share(), without a branch.
void total(uint column) {
    for (uint a = 0; a < kColumns; ++a)
        for (uint r = 0; r < D; ++r) {
            const float sum = subgroupAdd(sums[a][r]);
            const bool write = all(bvec2(subgroupElect(), column < kGroupColumns));
            totals[mix(kTotals + gl_LocalInvocationIndex, r * kGroupColumns + column + a, write)] = sum;
        }
}

#else

const uint kTeams = 2, kMembers = W / kTeams;

uint teams() { return kTeams; }
uint team() { return gl_LocalInvocationIndex / kMembers; }
uint members() { return kMembers; }
uint member() { return gl_LocalInvocationIndex % kMembers; }

shared float totals[kGroupColumns * D], parts[kColumns * D][W];

void total(uint column) {
    const uint i = gl_LocalInvocationIndex;
    barrier();  // others may still read the last parts
    for (uint n = 0; n < kColumns * D; ++n) parts[n][i] = sums[n / D][n % D];
    for (uint step = kMembers / 2; step > 0; step /= 2) {
        barrier();
        if (lane < step)
            for (uint n = 0; n < kColumns * D; ++n) parts[n][i] += parts[n][i + step];
    }
    if (lane == 0)
        for (uint n = 0; n < kColumns * D; ++n) totals[n % D * kGroupColumns + column + n / D] = parts[n][i];
}

#endif

/// Where row n + a of w begins, or the last row if that is beyond it.
uint row_at(uint n, uint a) { return min(n + a, p.end - p.begin - 1) * p.C; }

// These add the invocation's share of the dot products of x with rows n and n + 1 of w, over the first C numbers; C is p.C or 0.
// The whole team loops equally often: numbers beyond the end count as 0.

/// Rows in blocks: runs of eight numbers.
void add_runs(uint n, uint C) {
    for (uint first = 0; first < C; first += 8 * lanes) {
        const uint c = first + 8 * lane, at = min(c, p.C - 8);
        vec4 low[D], high[D];
        for (uint r = 0; r < D; ++r) {
            low[r] = x_words[(r * p.C + at) / 4];
            high[r] = x_words[(r * p.C + at) / 4 + 1];
        }
        for (uint a = 0; a < kColumns; ++a) {
            const Run run = w_run(TYPE(w), SHIFT(w), (row_at(n, a) + at) / 8);
            for (uint r = 0; r < D; ++r) sums[a][r] += only_if(c < C, product(TYPE(w), run, low[r], high[r]));
        }
    }
}

/// Rows of whole vectors of four words.
void add_vectors(uint n, uint C) {
    const uint size = TYPE(w) == kF32 ? 4 : 8;
    for (uint first = 0; first < C; first += size * lanes) {
        const uint c = first + size * lane, at = min(c, p.C - size);
        for (uint a = 0; a < kColumns; ++a) {
            const uvec4 words = w_words[(SHIFT(w) + row_at(n, a) + at) / size];
            vec4 numbers[2] = vec4[](uintBitsToFloat(words), vec4(0.0));
            if (TYPE(w) != kF32)
                for (uint q = 0; q < 2; ++q) numbers[q] = vec4(pair_of(TYPE(w), words[2 * q]), pair_of(TYPE(w), words[2 * q + 1]));
            for (uint r = 0; r < D; ++r)
                for (uint q = 0; q < size / 4; ++q)
                    sums[a][r] += only_if(c < C, dot(numbers[q], x_words[(SHIFT(x) + r * p.C + at) / 4 + q]));
        }
    }
}

/// Other rows: words of one or two numbers. The first and the last word may include a number of a neighbouring row.
void add_words(uint n, uint C) {
    const uint size = TYPE(w) == kF32 ? 1 : 2;
    for (uint a = 0; a < kColumns; ++a) {
        const uint begin = SHIFT(w) + row_at(n, a), last = (begin + p.C - 1) / size;
        for (uint first = 0; first * size < C + size - 1; first += lanes) {
            const uint word = begin / size + first + lane, bits = w_data[min(word, last)];
            const vec2 numbers = TYPE(w) == kF32 ? vec2(uintBitsToFloat(bits)) : pair_of(TYPE(w), bits);
            for (uint q = 0; q < size; ++q) {
                const uint c = word * size + q - begin;
                for (uint r = 0; r < D; ++r)
                    sums[a][r] = mix(sums[a][r], fma(AT(x, r * p.C + min(c, p.C - 1)), numbers[q], sums[a][r]), c < C);
            }
        }
    }
}

bool in_vectors() {
    const uint size = TYPE(w) == kF32 ? 4 : 8;
    return p.C % size == 0 && SHIFT(w) % size == 0 && SHIFT(x) % 4 == 0;
}

void main() {
    lane = member(), lanes = members();
    const uint columns = p.end - p.begin;
    for (uint first = 0; first < kGroupColumns; first += teams() * kColumns) {
        const uint column = first + team() * kColumns, n = group() * kGroupColumns + column;
        const uint C = all(bvec2(column < kGroupColumns, n < columns)) ? p.C : 0;  // the same in the whole team
        for (uint a = 0; a < kColumns; ++a)
            for (uint r = 0; r < D; ++r) sums[a][r] = 0.0;
        if (in_blocks(TYPE(w)))
            add_runs(n, C);
        else if (in_vectors())
            add_vectors(n, C);
        else
            add_words(n, C);
        total(column);
    }
    barrier();
    const uint i = gl_LocalInvocationIndex, r = i / kGroupColumns, n = group() * kGroupColumns + i % kGroupColumns;
    if (r < live_rows() && n < columns) store(r, p.begin + n, vec2(totals[i], 0.0), 1);
}
