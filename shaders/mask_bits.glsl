// From the mask (B,H,T,S) that dropout_mask left in scratch, 1 where a weight is dropped: the bit of key s of query t, with
// others above it; the bits of keys s to s + 31.
uint mask_index(Place at, uint t, uint s) { return (at.unit * p.T + t) * p.S + s; }
uint mask_bit(Place at, uint t, uint s) {
    if (kDropout == 0) return 0;
    const uint i = mask_index(at, t, s);
    return mask_data[i / 32] >> i % 32;
}
uint mask_bits(Place at, uint t, uint s) {
    if (kDropout == 0) return 0;
    const uint i = mask_index(at, t, s);
    return mask_data[i / 32] >> i % 32 | mask_data[i / 32 + 1] << 1 << 31 - i % 32;
}
