/// From the mask that dropout_mask left in the tensor `mask`: a bit for each of keys s to s + 31 of query t, 1 where its weight
/// is dropped.
uint mask_bits(Place at, uint t, uint s) {
    if (kDropout == 0) return 0;
    const uint i = (at.unit * p.T + t) * p.T + s;
    return mask_data[i / 32] >> i % 32 | mask_data[i / 32 + 1] << 1 << 31 - i % 32;
}
