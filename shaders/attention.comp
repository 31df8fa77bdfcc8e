// Attention within each sequence, see attention.glsl.
#version 450
#include "common.glsl"
#include "heads.glsl"
#include "log.glsl"

ACTIVATION_IN(Attention_q, readonly restrict, q)         // (B,T,C)
ACTIVATION_IN(Attention_k, readonly restrict, k)         // (B,S,K)
ACTIVATION_IN(Attention_v, readonly restrict, v)         // (B,S,K)
TENSOR(Attention_spans, readonly restrict, int, spans);  // (B,T,2)
ACTIVATION_OUT(Attention_y, writeonly restrict, y)       // (B,T,C)
TENSOR(Attention_lse, writeonly restrict, float, lse);   // (B,H,T)
TENSOR(kScratch, readonly restrict, uint, mask);         // of dropout_mask

#include "keys_of.glsl"
#include "mask_bits.glsl"

#define KEY(at, s, j) GET_HEAD(k, row_of_k(at, s), j)
#define VALUE(at, s, j) GET_HEAD(v, row_of_v(at, s), j)

const uint kBlock = 32;  // keys of a word of the mask

uvec2 keys_of_row(Place at, uint t) { return keys_of(at.b, t); }
uvec2 keys_of_group(Place at) { return uvec2(keys_of(at.b, at.begin).x, keys_of(at.b, at.end - 1).y); }
void load(Place at, uint begin, uint end) {}
void store_lse(Place at, uint t, float of_row) {
    if (HAS(lse)) AT(lse, at.unit * p.T + t) = of_row;
}

#include "attention.glsl"

void main() {
    const Place at = place(p.H, p.T, queries());
    if (is_there(at)) attend(at);
}
