// loss[r] = log(sum_v exp(logits[r,v])) - logits[r,target],
// dlogits[r,v] = loss_scale (softmax(logits[r])_v - [v = target]); both 0 where the target is kIgnore; predicted[r] is the
// first of the largest. One workgroup per row.
#version 450
#include "common.glsl"
#include "log.glsl"

TENSOR(0, readonly, float, logits);             // (R,V)
TENSOR(1, readonly restrict, int, targets);     // (R)
TENSOR(5, writeonly restrict, float, loss);     // (R)
TENSOR(6, writeonly, float, dlogits);           // (R,V), may be logits
TENSOR(7, writeonly restrict, int, predicted);  // (R)

const int kIgnore = -1;

shared uint first_largest;

void main() {
    const uint r = group(), i = gl_LocalInvocationIndex, row = r * p.N, last = p.N - 1;
    if (r >= run_rows()) return;
    const int target = AT(1, targets, r);
    const float chosen = AT(0, logits, row + min(uint(target), last));  // before dlogits may overwrite it
    float mine = uintBitsToFloat(0xFF800000u), sum = 0.0;
    uint at = p.N;
    for (uint first = 0; first < p.N; first += W) {
        const uint v = min(first + i, last);  // there again, the last one changes nothing
        const float x = AT(0, logits, row + v);
        const bool larger = any(bvec2(at == p.N, x > mine));
        mine = mix(mine, x, larger);
        at = mix(at, v, larger);
    }
    atomicExchange(first_largest, p.N);  // by all, which takes no branch
    const float largest = max_of_group(mine);
    atomicMin(first_largest, mix(p.N, at, mine == largest));
    for (uint first = 0; first < p.N; first += W) {
        const uint v = first + i;
        sum += only_if(v < p.N, exp_of(AT(0, logits, row + min(v, last)) - largest));
    }
    const float lse = largest + log_of(sum_of_group(sum));  // whose barriers also come before dlogits
    if (i == 0) {
        AT(5, loss, r) = target == kIgnore ? 0.0 : lse - chosen;
        if (has(7)) AT(7, predicted, r) = first_largest < p.N ? int(first_largest) : 0;  // nothing equals NaN
    }
    if (!has(6)) return;
    for (uint v = i; v < p.N; v += W) {
        const float softmax = exp_of(AT(0, logits, row + v) - lse), scale = step_values.loss_scale;
        AT(6, dlogits, row + v) = target == kIgnore ? 0.0 : scale * (int(v) == target ? softmax - 1.0 : softmax);
    }
}
