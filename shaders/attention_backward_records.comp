// The first part of attention_backward: records for the other shaders. One invocation per query and head; D is the head size.
#version 450
#include "common.glsl"
#include "heads.glsl"
#include "records.glsl"

ACTIVATION_IN(AttentionBackward_dy, readonly restrict, dy)       // (B,T,C)
TENSOR(AttentionBackward_spans, readonly restrict, int, spans);  // (B,T,2)
ACTIVATION_IN(AttentionBackward_y, readonly restrict, y)         // (B,T,C)
TENSOR(AttentionBackward_lse, readonly restrict, float, lse);    // (B,H,T)
TENSOR(kScratch, writeonly restrict, uvec4, records);

#include "keys_of.glsl"

void main() {
    const uint i = group() * W + gl_LocalInvocationIndex, unit = i / p.T, t = i % p.T;
    const Place at = Place(unit, unit / p.H, unit % p.H, t, t + 1, t);
    if (at.b >= p.B || t >= queries()) return;
    float dy_y = 0.0;
    for (uint j = 0; j < kVec4s; ++j) dy_y += dot(GET_HEAD(dy, row_of_y(at, t), j), GET_HEAD(y, row_of_y(at, t), j));
    AT(records, record(unit, t)) = uvec4(floatBitsToUint(AT(lse, i)), floatBitsToUint(dy_y), keys_of(at.b, t));
}
