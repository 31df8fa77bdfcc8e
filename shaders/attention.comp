// Causal attention, attention.glsl, of each sequence to itself: row t sees the keys s <= t.
#version 450
#include "common.glsl"
#include "heads.glsl"
#include "log.glsl"

ACTIVATION_IN(0, readonly restrict, qkv)    // (R,3C)
ACTIVATION_OUT(5, writeonly restrict, y)    // (R,C)
TENSOR(6, writeonly restrict, float, lse);  // (B,H,T)
TENSOR(7, readonly restrict, uint, mask);   // of dropout_mask

#include "mask_bits.glsl"

#define KEY(at, s, j) GET_HEAD(qkv, row_of(at, s) + p.C, j)
#define VALUE(at, s, j) GET_HEAD(qkv, row_of(at, s) + 2 * p.C, j)

const uint kBlock = 32;  // keys of a word of the mask

uint last_key(Place at, uint t) { return t; }
uint key_count(Place at) { return at.end; }
void load(Place at, uint s, uint count) {}
void store_lse(Place at, uint t, float largest, float sum) { AT(6, lse, at.unit * p.T + t) = largest + log_of(sum); }

#include "attention.glsl"

void main() { attend(place(p.T)); }
