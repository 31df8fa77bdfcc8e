// The same as linear for D rows, few enough that reading the weights takes most of the time. 8 columns n per workgroup, each by
// a team, kColumns of them at a time.
#version 450
#include "common.glsl"

const uint kGroupColumns = 8, kColumns = 2, kTeams = kGroupColumns / kColumns;

#include "linear.glsl"
#include "teams.glsl"

layout(binding = 1, std430) readonly buffer x_fours_block { vec4 x_fours[]; };
layout(binding = 2, std430) readonly buffer w_fours_block { uvec4 w_fours[]; };

float sums[kColumns][D];

/// Where row a of w is from `row` on, of those that are there.
uint row_of(uint row, uint a) { return min(row + a, p.end - p.begin - 1) * p.C; }

/// Adds what this member has of the products with the rows of w from `row` on: runs of eight numbers,
void add_runs(uint row, uint lane, uint lanes) {
    for (uint c = 8 * lane; c < p.C; c += 8 * lanes) {
        vec4 low[D], high[D];
        for (uint r = 0; r < D; ++r) {
            low[r] = x_fours[(r * p.C + c) / 4];
            high[r] = x_fours[(r * p.C + c) / 4 + 1];
        }
        for (uint a = 0; a < kColumns; ++a) {
            const Run run = w_run(kType, p.shift[1], (row_of(row, a) + c) / 8);
            for (uint r = 0; r < D; ++r) sums[a][r] += product(kType, run, low[r], high[r]);
        }
    }
}

/// four words of numbers, where rows are made of such,
void add_fours(uint row, uint lane, uint lanes) {
    const uint size = kType == kF32 ? 4 : 8;
    for (uint c = size * lane; c < p.C; c += size * lanes)
        for (uint a = 0; a < kColumns; ++a) {
            const uvec4 words = w_fours[(p.shift[1] + row_of(row, a) + c) / size];
            vec4 numbers[2] = vec4[](uintBitsToFloat(words), vec4(0.0));
            if (kType != kF32)
                for (uint q = 0; q < 2; ++q)
                    numbers[q] = vec4(halves(kType, words[2 * q]), halves(kType, words[2 * q + 1]));
            for (uint r = 0; r < D; ++r)
                for (uint q = 0; q < size / 4; ++q)
                    sums[a][r] += dot(numbers[q], x_fours[(p.shift[0] + r * p.C + c) / 4 + q]);
        }
}
bool rows_in_fours() {
    const uint size = kType == kF32 ? 4 : 8;
    return p.C % size == 0 && p.shift[1] % size == 0 && p.shift[0] % 4 == 0;
}

/// words of two numbers, of which the first and the last may be of other rows, or numbers.
void add_words(uint row, uint lane, uint lanes) {
    const uint size = kType == kF32 ? 1 : 2;
    for (uint a = 0; a < kColumns; ++a) {
        const uint begin = p.shift[1] + row_of(row, a), end = begin + p.C;
        for (uint word = begin / size + lane; word * size < end; word += lanes) {
            const vec2 numbers = kType == kF32 ? vec2(uintBitsToFloat(w_data[word])) : halves(kType, w_data[word]);
            for (uint q = 0; q < size; ++q) {
                const uint c = word * size + q - begin;
                if (c < p.C)
                    for (uint r = 0; r < D; ++r) sums[a][r] = fma(AT(0, x, r * p.C + c), numbers[q], sums[a][r]);
            }
        }
    }
}

void main() {
    const uint lane = member(), lanes = members(), R = run_rows();
    for (uint first = 0; first < kGroupColumns; first += teams() * kColumns) {
        const uint column = first + team() * kColumns, n = p.begin + group() * kGroupColumns + column;
        const bool is_mine = column < kGroupColumns && n < p.end;
        for (uint a = 0; a < kColumns; ++a)
            for (uint r = 0; r < D; ++r) sums[a][r] = 0.0;
        if (is_mine) {
            if (in_blocks(kType))
                add_runs(n - p.begin, lane, lanes);
            else if (rows_in_fours())
                add_fours(n - p.begin, lane, lanes);
            else
                add_words(n - p.begin, lane, lanes);
        }
        for (uint a = 0; a < kColumns; ++a) {
            sum_of_team(sums[a]);
            for (uint r = lane; r < R; r += lanes) {
                float sum = 0.0;
                for (uint j = 0; j < D; ++j)
                    if (j == r) sum = sums[a][j];  // an index that is known leaves them in registers
                if (is_mine && n + a < p.end) store(r, n + a, vec2(sum, 0.0), 1);
            }
        }
    }
}
