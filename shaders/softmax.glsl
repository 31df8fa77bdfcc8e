// The softmax of a row of logits over the vocabulary, by a workgroup. The shader that includes this defines the tensor `logits`
// (R,V).
#include "log.glsl"

const int kIgnore = -1;

shared uint first_largest;
float largest_logit, log_sum;  // the largest logit of a row, and log(sum_v exp(logits[r,v] - largest_logit))

/// log(sum_v exp(logits[r,v])). Sets largest_logit, log_sum, and first_largest to the index of the first of the largest logits, or to
/// p.N if the largest is NaN and so equals none. To be called by all invocations; what they write afterwards comes after its
/// barriers.
float log_sum_exp(uint r) {
    const uint i = gl_LocalInvocationIndex, row = r * p.N, last = p.N - 1;
    float mine = uintBitsToFloat(0xFF800000u), sum = 0.0;
    uint at = p.N;
    for (uint first = 0; first < p.N; first += W) {
        const uint v = min(first + i, last);  // reading the last one again changes nothing
        const float x = AT(logits, row + v);
        const bool larger = any(bvec2(at == p.N, x > mine));
        mine = mix(mine, x, larger);
        at = mix(at, v, larger);
    }
    atomicExchange(first_largest, p.N);  // by all, to avoid a branch
    const float largest = max_of_group(mine);
    atomicMin(first_largest, mix(p.N, at, mine == largest));
    for (uint first = 0; first < p.N; first += W) {
        const uint v = first + i;
        sum += only_if(v < p.N, exp_of(AT(logits, row + min(v, last)) - largest));
    }
    largest_logit = largest;
    log_sum = log_of(sum_of_group(sum));
    return largest + log_sum;
}

/// The logarithm of a logit's softmax, after log_sum_exp(); near 0 more exact than the logit minus that.
float log_softmax(float logit) { return logit - largest_logit - log_sum; }

/// p log p for a logarithm; 0 for -infinity.
float plogp(float log_p) { return exp_of(log_p) * (is_nan(log_p) ? log_p : max(log_p, kLowest)); }

/// dlogits[r,v] = factor (softmax(logits[r])_v - of_target or of_others), which may overwrite the logits.
#define STORE_GRADIENT(r, lse, target, of_target, of_others, factor)              \
    for (uint v = gl_LocalInvocationIndex; v < p.N; v += W) {                     \
        const float softmax = exp_of(AT(logits, r * p.N + v) - lse);              \
        const float difference = softmax - (int(v) == target ? of_target : of_others); \
        AT(dlogits, r * p.N + v) = target == kIgnore ? 0.0 : factor * difference; \
    }
