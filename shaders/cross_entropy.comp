// loss[r] = log(sum_v exp(logits[r,v])) - logits[r,target],
// dlogits[r,v] = loss_scale (softmax(logits[r])_v - [v = target]); both 0 where the target is kIgnore; predicted[r] is the
// first of the largest. One workgroup per row.
#version 450
#include "common.glsl"
#include "log.glsl"

TENSOR(0, float, logits);   // (R,V)
TENSOR(1, int, targets);    // (R)
TENSOR(5, float, loss);     // (R)
TENSOR(6, float, dlogits);  // (R,V), may be logits
TENSOR(7, int, predicted);  // (R)

const int kIgnore = -1;

shared uint first_largest;
shared float chosen;  // logits[target], read before dlogits may overwrite it

void main() {
    const uint r = group(), i = gl_LocalInvocationIndex, row = r * p.N;
    if (r >= run_rows()) return;
    const int target = AT(1, targets, r);
    float mine = uintBitsToFloat(0xFF800000u), sum = 0.0;
    uint at = p.N;
    for (uint v = i; v < p.N; v += W) {
        const float x = AT(0, logits, row + v);
        if (int(v) == target) chosen = x;
        if (at == p.N || x > mine) {
            mine = x;
            at = v;
        }
    }
    if (i == 0) first_largest = p.N;
    const float largest = max_of_group(mine);
    if (mine == largest) atomicMin(first_largest, at);
    for (uint v = i; v < p.N; v += W) sum += exp_of(AT(0, logits, row + v) - largest);
    const float lse = largest + log_of(sum_of_group(sum));  // whose barriers also come before dlogits
    if (i == 0) {
        AT(5, loss, r) = target == kIgnore ? 0.0 : lse - chosen;
        if (has(7)) AT(7, predicted, r) = first_largest < p.N ? int(first_largest) : 0;  // none is equal to NaN
    }
    if (!has(6)) return;
    for (uint v = i; v < p.N; v += W) {
        const float softmax = exp_of(AT(0, logits, row + v) - lse), scale = step_values.loss_scale;
        AT(6, dlogits, row + v) = target == kIgnore ? 0.0 : scale * (int(v) == target ? softmax - 1.0 : softmax);
    }
}
