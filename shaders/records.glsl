// The records that attention_backward_records writes to scratch for the shaders after it, behind the dropout mask: for each query
// and head, (B,H,T), its lse, dy . y, and the first and last + 1 key that it sees.

/// Words of the dropout mask with padding: mask_bits.glsl also reads the word after the last.
uint mask_words() { return kDropout == 0 ? 0 : 4 * ((p.B * p.H * p.T * p.S - 1) / 128 + 2); }

/// Where the record of query t of head `unit` is.
uint record(uint unit, uint t) { return mask_words() / 4 + unit * p.T + t; }
