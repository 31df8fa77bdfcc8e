// The same as linear for D rows, few enough that reading the weights takes most of the time. 8 columns n per workgroup, each by
// a team.
#version 450
#include "common.glsl"
#include "linear.glsl"
#include "teams.glsl"

const uint kColumns = 8;

void main() {
    const uint lane = member(), lanes = members(), R = run_rows();
    for (uint first = 0; first < kColumns; first += teams()) {
        const uint column = first + team(), n = p.begin + group() * kColumns + column;
        const bool is_mine = column < kColumns && n < p.end;
        float sums[D];
        for (uint r = 0; r < D; ++r) sums[r] = 0.0;
        if (is_mine)
            for (uint c = lane; c < p.C; c += lanes) {
                const float wc = w_number(kType, p.shift[1], (n - p.begin) * p.C + c);
                for (uint r = 0; r < D; ++r)
                    if (r < R) sums[r] = fma(AT(0, x, r * p.C + c), wc, sums[r]);
            }
        sum_of_team(sums);
        for (uint r = lane; r < R; r += lanes) {
            float sum = 0.0;
            for (uint j = 0; j < D; ++j)
                if (j == r) sum = sums[j];  // an index that is known leaves them in registers
            if (is_mine) store(r, n, vec2(sum, 0.0), 1);
        }
    }
}
