/// Factor of element i by dropout's mask, which dropout_mask left: 0 or 1 / (1 - probability). Reads the tensor `mask`.
float mask_factor(uint i) {
    if (kDrops == 0) return 1.0;
    return (mask_data[i / 32] >> i % 32 & 1u) != 0u ? 0.0 : 65536.0 / float(65536 - p.dropout);
}
