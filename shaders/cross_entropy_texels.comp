// cross_entropy.comp for devices that are CPUs: one invocation per row. Rows start anywhere, so the fours that they lie in have
// numbers of other rows, too.
#version 450
#include "common.glsl"
#include "log.glsl"
#include "texels.glsl"

TEXELS(0, logits)           // (R,V)
TENSOR(1, int, targets);    // (R)
TENSOR(5, float, loss);     // (R)
FOURS(6, dlogits)           // (R,V), may be logits
TENSOR(7, int, predicted);  // (R)

const int kIgnore = -1;

uint row = group() * W + gl_LocalInvocationIndex, first = row * p.N, end = first + p.N;

// Logits i to i + 3, i a multiple of four; of other rows, what adds nothing.
vec4 get(uint i) {
    vec4 x = get_logits(i, in_fours(0) ? ~3u : end);
    for (uint q = 0; q < 4; ++q) x[q] = i + q >= first && i + q < end ? x[q] : uintBitsToFloat(0xFF800000u);
    return x;
}

// Of those.
vec4 gradient(uint i, uint target, float lse) {
    vec4 x = get(i);
    for (uint q = 0; q < 4; ++q) {
        const float softmax = exp_of(x[q] - lse);
        x[q] = target == ~0u ? 0.0 : step_values.loss_scale * (i + q == target ? softmax - 1.0 : softmax);
    }
    return x;
}

void put_some(uint i, vec4 four) {
    for (uint q = 0; q < 4; ++q)
        if (i + q >= first && i + q < end) AT(6, dlogits, i + q) = four[q];
}

void main() {
    if (row >= run_rows()) return;
    const int id = AT(1, targets, row);
    const uint target = id == kIgnore ? ~0u : first + uint(id), start = first / 4 * 4;
    vec4 largests = vec4(uintBitsToFloat(0xFF800000u)), sums = vec4(0.0);
    uvec4 at = uvec4(first);
    float chosen = 0.0;
    for (uint i = start; i < end; i += 4) {
        const vec4 x = get(i);
        for (uint q = 0; q < 4; ++q) {
            chosen = i + q == target ? x[q] : chosen;
            at[q] = x[q] > largests[q] ? i + q : at[q];
            largests[q] = x[q] > largests[q] ? x[q] : largests[q];
        }
    }
    float largest = largests.x;
    uint first_largest = at.x;
    for (uint q = 1; q < 4; ++q) {
        const bool before = largests[q] > largest || largests[q] == largest && at[q] < first_largest;
        largest = before ? largests[q] : largest;
        first_largest = before ? at[q] : first_largest;
    }
    for (uint i = start; i < end; i += 4) {
        const vec4 x = get(i);
        for (uint q = 0; q < 4; ++q) sums[q] += exp_of(x[q] - largest);
    }
    const float lse = largest + log_of(sums.x + sums.y + sums.z + sums.w);
    AT(5, loss, row) = id == kIgnore ? 0.0 : lse - chosen;
    if (has(7)) AT(7, predicted, row) = int(first_largest - first);
    if (!has(6)) return;
    uint i = start;
    if (i < first) {
        put_some(i, gradient(i, target, lse));
        i += 4;
    }
    for (; i + 4 <= end; i += 4) put_dlogits(i, end, gradient(i, target, lse));
    if (i < end) put_some(i, gradient(i, target, lse));
}
