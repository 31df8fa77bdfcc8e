// y_t = sum_s dropout(P[t,s]) v_s,  P[t,s] = softmax_s(scale q_t . k_s),  lse[t] = the softmax's log-sum-exp, by the online
// softmax of Milakov, Gimelshein 2018 over kKeys keys at a time. A workgroup computes W kRows queries; D is the head size. The
// shader that includes this defines the tensors q and y and where keys and values are: KEY(at, s, j), VALUE(at, s, j), kBlock,
// keys_of_row(), keys_of_group(), load(), mask_bits(), store_lse().

const uint kKeys = 2;

vec4 query[kRows][kVec4s], sums[kRows][kVec4s];
float largest[kRows], sum[kRows];
uvec2 seen[kRows];  // keys [x, y) that each row sees

bool sees(uint a, uint s) { return s >= seen[a].x && s < seen[a].y; }

/// Adds keys s to s + kKeys - 1 that are below `end`. Bit i of bits[a] says whether dropout drops the weight of key s + i in
/// row a. Keys that no row of the invocation sees may be uninitialized, so they are not read or not used.
void add_keys(Place at, uint s, uint end, uint bits[kRows]) {
    bool wanted[kKeys], any_wanted = false;
    for (uint i = 0; i < kKeys; ++i) {
        wanted[i] = false;
        for (uint a = 0; a < kRows; ++a) wanted[i] = wanted[i] || sees(a, s + i);
        any_wanted = any_wanted || wanted[i];
    }
    if (!any_wanted) return;
    float weights[kKeys][kRows];
    for (uint i = 0; i < kKeys; ++i) {
        for (uint a = 0; a < kRows; ++a) weights[i][a] = 0.0;
        for (uint j = 0; j < kVec4s; ++j) {
            const vec4 k = KEY(at, min(s + i, end - 1), j);
            for (uint a = 0; a < kRows; ++a)
                for (uint c = 0; c < 4; ++c) weights[i][a] = fma(query[a][j][c], k[c], weights[i][a]);
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const float before = largest[a];
        for (uint i = 0; i < kKeys; ++i) largest[a] = sees(a, s + i) ? max(largest[a], weights[i][a]) : largest[a];
        const float rescale = exp_of(before - largest[a]);
        sum[a] *= rescale;
        for (uint j = 0; j < kVec4s; ++j) sums[a][j] *= rescale;
        for (uint i = 0; i < kKeys; ++i) {
            const float weight = sees(a, s + i) ? exp_of(weights[i][a] - largest[a]) : 0.0;
            sum[a] += weight;
            weights[i][a] = weight * factor(bits[a] >> i);
        }
    }
    for (uint i = 0; i < kKeys; ++i) {
        if (!wanted[i]) continue;
        for (uint j = 0; j < kVec4s; ++j) {
            const vec4 v = VALUE(at, s + i, j);
            for (uint a = 0; a < kRows; ++a) sums[a][j] = fma(vec4(weights[i][a]), v, sums[a][j]);
        }
    }
}

void attend(Place at) {
    for (uint a = 0; a < kRows; ++a) {
        const uint t = min(at.own + W * a, at.end - 1);
        seen[a] = keys_of_row(at, t);
        for (uint j = 0; j < kVec4s; ++j) {
            query[a][j] = p.scale * GET_HEAD(q, row_of_q(at, t), j);
            sums[a][j] = vec4(0.0);
        }
        largest[a] = kLowest;
        sum[a] = 0.0;
    }
    const uvec2 all = keys_of_group(at);
    for (uint block = all.x / kBlock * kBlock; block < all.y; block += kBlock) {
        const uint end = min(block + kBlock, all.y);
        load(at, block, end);
        uint bits[kRows];
        for (uint a = 0; a < kRows; ++a) bits[a] = mask_bits(at, min(at.own + W * a, at.end - 1), block);
        for (uint s = block; s < end; s += kKeys) {
            add_keys(at, s, end, bits);
            for (uint a = 0; a < kRows; ++a) bits[a] >>= kKeys;
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint t = at.own + W * a;
        if (t >= at.end) continue;
        const bool any = seen[a].x < seen[a].y;
        for (uint j = 0; j < kVec4s; ++j) PUT_HEAD(y, row_of_y(at, t), j, any ? sums[a][j] / sum[a] : vec4(0.0));
        store_lse(at, t, any ? largest[a] + log_of(sum[a]) : 0.0);
    }
}
