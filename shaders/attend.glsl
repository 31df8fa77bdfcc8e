// Attention of one query to `count` keys, by one workgroup: y_d = sum_s softmax_s(q . k_s / sqrt(D)) v_s,d, with the softmax
// of Milakov, Gimelshein 2018 over one block of W keys after another; D is the head size. A shader defines QUERY(d),
// KEY(s, d), VALUE(s, d).
shared float query[D], sums[D], weights[W];

struct Softmax {
    float largest, sum;  // sums / sum is the result, largest + log(sum) the log-sum-exp
};

Softmax attend(uint count) {
    const uint i = gl_LocalInvocationIndex;
    const float scale = 1.0 / sqrt(float(D));
    for (uint d = i; d < D; d += W) {
        query[d] = scale * QUERY(d);
        sums[d] = 0.0;
    }
    Softmax state = Softmax(kLowest, 0.0);
    for (uint s0 = 0; s0 < count; s0 += W) {
        barrier();
        const uint s = s0 + i, keys = min(W, count - s0);
        float score = kLowest;
        if (s < count) {
            score = 0.0;
            for (uint d = 0; d < D; ++d) score = fma(query[d], KEY(s, d), score);
        }
        const float largest = max(state.largest, max_of_group(score));
        const float weight = s < count ? exp_of(score - largest) : 0.0;
        weights[i] = weight;
        const float kept = s0 == 0 ? 0.0 : exp_of(state.largest - largest);
        state = Softmax(largest, fma(state.sum, kept, sum_of_group(weight)));
        for (uint d = i; d < D; d += W) {
            float sum = sums[d] * kept;
            for (uint j = 0; j < keys; ++j) sum = fma(weights[j], VALUE(s0 + j, d), sum);
            sums[d] = sum;
        }
    }
    return state;
}
