/// The keys [x, y) that query t of sequence b sees: what spans, causal and window all allow. The shader that includes this defines
/// the tensor `spans`, (B,T,2).
uvec2 keys_of(uint b, uint t) {
    ivec2 seen = ivec2(0, keys());
    if (HAS(spans)) {
        const uint at = 2 * (b * p.T + t);
        seen = ivec2(max(AT(spans, at), 0), min(AT(spans, at + 1), seen.y));
    }
    if (is_causal()) seen.y = min(seen.y, int(t) + 1);
    if (p.window > 0) seen.x = max(seen.x, int(t) + 1 - int(p.window));
    return uvec2(seen.x, max(seen.x, seen.y));
}
