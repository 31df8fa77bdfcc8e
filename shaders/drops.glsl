/// Of dropout's mask, which dropout_mask left: the bits of the weights of keys s to s + 31 for query t. Reads the tensor `mask`.
uint drops(Place at, uint t, uint s) {
    if (kDrops == 0) return 0;
    const uint i = (at.unit * p.T + t) * p.T + s;
    return mask_data[i / 32] >> i % 32 | mask_data[i / 32 + 1] << 1 << 31 - i % 32;
}
