// embed_backward_links.comp for devices that are CPUs: one invocation per table, from the last row to the first. Behind the links is
// for each row of the tables one more than the row r that was last seen to take it; zeros before.
#version 450
#include "common.glsl"

TENSOR(1, int, ids);        // (R)
TENSOR(2, int, positions);  // (R)
TENSOR(7, uint, links);     // behind the mask

#include "embed_backward.glsl"

void main() {
    const uint table = group(), R = p.B * p.T, seen = link_at(2, 0) + table * p.N;
    if (table == 1 && !has(6)) return;
    for (uint r = R; r-- > 0;) {
        const uint at = seen + table_row(table, r), next = links_data[at];
        links_data[at] = r + 1;
        links_data[link_at(table, r)] = next == 0 ? R : next - 1;
        if (next > 0) links_data[link_at(table, next - 1)] |= kAgain;
    }
}
