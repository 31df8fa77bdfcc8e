// y_t = sum_s dropout(P[t,s]) v_s,  P[t,s] = softmax_s(q_t . k_s / sqrt(D)),  lse[t] = the softmax's log-sum-exp, by the online
// softmax of Milakov, Gimelshein 2018 over kKeys keys at a time. A workgroup computes W kRows queries; D is the head size. The
// shader that includes this defines the tensors qkv and y and where keys and values are: KEY(at, s, j), VALUE(at, s, j), kBlock,
// last_key(), key_count(), load(), mask_bits(), store_lse().

const uint kKeys = 2;

vec4 query[kRows][kVec4s], sums[kRows][kVec4s];
float largest[kRows], sum[kRows];
uint last[kRows];  // key that each row sees

/// Adds keys s to s + kKeys - 1, as far as they are before `count`. Bit i of bits[a] says whether dropout drops the weight of key
/// s + i in row a.
void add_keys(Place at, uint s, uint count, uint bits[kRows]) {
    float weights[kKeys][kRows];
    for (uint i = 0; i < kKeys; ++i) {
        for (uint a = 0; a < kRows; ++a) weights[i][a] = 0.0;
        for (uint j = 0; j < kVec4s; ++j) {
            const vec4 k = KEY(at, min(s + i, count - 1), j);
            for (uint a = 0; a < kRows; ++a)
                for (uint q = 0; q < 4; ++q) weights[i][a] = fma(query[a][j][q], k[q], weights[i][a]);
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const float before = largest[a];
        for (uint i = 0; i < kKeys; ++i) largest[a] = s + i <= last[a] ? max(largest[a], weights[i][a]) : largest[a];
        const float rescale = exp_of(before - largest[a]);
        sum[a] *= rescale;
        for (uint j = 0; j < kVec4s; ++j) sums[a][j] *= rescale;
        for (uint i = 0; i < kKeys; ++i) {
            const float weight = s + i <= last[a] ? exp_of(weights[i][a] - largest[a]) : 0.0;
            sum[a] += weight;
            weights[i][a] = weight * factor(bits[a] >> i);
        }
    }
    for (uint i = 0; i < kKeys; ++i)
        for (uint j = 0; j < kVec4s; ++j) {
            const vec4 v = VALUE(at, min(s + i, count - 1), j);
            for (uint a = 0; a < kRows; ++a) sums[a][j] = fma(vec4(weights[i][a]), v, sums[a][j]);
        }
}

void attend(Place at) {
    if (!is_there(at)) return;
    const float scale = 1.0 / sqrt(float(D));
    for (uint a = 0; a < kRows; ++a) {
        const uint t = min(at.own + W * a, at.end - 1);
        last[a] = last_key(at, t);
        for (uint j = 0; j < kVec4s; ++j) {
            query[a][j] = scale * GET_HEAD(qkv, row_of(at, t), j);
            sums[a][j] = vec4(0.0);
        }
        largest[a] = kLowest;
        sum[a] = 0.0;
    }
    const uint count = key_count(at);
    for (uint block = 0; block < count; block += kBlock) {
        load(at, block, count);
        uint bits[kRows];
        for (uint a = 0; a < kRows; ++a) bits[a] = mask_bits(at, min(at.own + W * a, at.end - 1), block);
        for (uint s = block; s < min(block + kBlock, count); s += kKeys) {
            add_keys(at, s, count, bits);
            for (uint a = 0; a < kRows; ++a) bits[a] >>= kKeys;
        }
    }
    for (uint a = 0; a < kRows; ++a) {
        const uint t = at.own + W * a;
        if (t >= at.end) continue;
        for (uint j = 0; j < kVec4s; ++j) PUT_HEAD(y, row_of_y(at, t), j, sums[a][j] / sum[a]);
        store_lse(at, t, largest[a], sum[a]);
    }
}
