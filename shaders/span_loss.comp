// With p_k the softmax of column k of the logits over the rows of text n:
// logp[n] = (log p_0(targets[n,0]) + log p_1(targets[n,1])) / 2,  dlogits[r,k] = loss_scale / 2 (p_k(r) - [r = targets[n,k]]);
// both 0 of a text that does not have both targets among its rows. dlogits is 0 for rows of no text, which are those of the text
// behind them, or of the last one. One workgroup per text.
#version 450
#include "common.glsl"
#include "log.glsl"

TENSOR(SpanLoss_logits, readonly, float, logits);           // (R,2)
TENSOR(SpanLoss_texts, readonly restrict, int, texts);      // (N,2)
TENSOR(SpanLoss_targets, readonly restrict, int, targets);  // (N,2)
TENSOR(SpanLoss_logp, writeonly restrict, float, logp);     // (N)
TENSOR(SpanLoss_dlogits, writeonly, float, dlogits);        // (R,2), may be logits

/// log(sum_r exp(logits[r,k])) over rows first to end, of which there are some. To be called by all invocations.
float log_sum_exp(uint first, uint end, uint k) {
    float largest = uintBitsToFloat(0xFF800000u), sum = 0.0;
    for (uint begin = first; begin < end; begin += W)
        largest = max(largest, AT(logits, 2 * min(begin + gl_LocalInvocationIndex, end - 1) + k));
    largest = max_of_group(largest);
    for (uint begin = first; begin < end; begin += W) {
        const uint r = begin + gl_LocalInvocationIndex;
        sum += only_if(r < end, exp_of(AT(logits, 2 * min(r, end - 1) + k) - largest));
    }
    return largest + log_of(sum_of_group(sum));
}

void clear(uint first, uint end) {
    for (uint i = 2 * first + gl_LocalInvocationIndex; i < 2 * end; i += W) AT(dlogits, i) = 0.0;
}

void main() {
    const uint n = group(), N = gathered_rows();
    if (n >= N) return;
    const uint first = uint(AT(texts, 2 * n)), end = uint(AT(texts, 2 * n + 1));
    const uint before = n == 0 ? 0 : uint(AT(texts, 2 * n - 1));
    const ivec2 target = ivec2(AT(targets, 2 * n), AT(targets, 2 * n + 1));
    const bool counts = all(greaterThanEqual(target, ivec2(first))) && all(lessThan(target, ivec2(end)));
    vec2 lse = vec2(0.0), chosen = vec2(0.0);
    if (counts) {
        lse = vec2(log_sum_exp(first, end, 0), log_sum_exp(first, end, 1));
        chosen = vec2(AT(logits, 2 * target.x), AT(logits, 2 * target.y + 1));  // before dlogits may overwrite them
    }
    barrier();
    if (gl_LocalInvocationIndex == 0) AT(logp, n) = 0.5 * (chosen.x - lse.x + (chosen.y - lse.y));
    if (!HAS(dlogits)) return;
    clear(before, first);
    if (n == N - 1) clear(end, live_rows());
    if (!counts) {
        clear(first, end);
        return;
    }
    const float factor = 0.5 * step_values.loss_scale;
    for (uint r = first + gl_LocalInvocationIndex; r < end; r += W) {
        const float start = exp_of(AT(logits, 2 * r) - lse.x), stop = exp_of(AT(logits, 2 * r + 1) - lse.y);
        AT(dlogits, 2 * r) = factor * (start - float(int(r) == target.x));
        AT(dlogits, 2 * r + 1) = factor * (stop - float(int(r) == target.y));
    }
}
