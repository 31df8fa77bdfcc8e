// Causal attention, flash-style (Dao et al. 2022): a block of query rows at a time against all keys it may see, forward and
// backward, so that no (T,T) matrix is kept; backward computes the probabilities again from the log-sum-exp.
#include "cpu/dropout.h"
#include "cpu/formats.h"
#include "cpu/gemm.h"
#include "cpu/simd.h"
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

constexpr int64_t kQueries = 32;  // query rows in a block

int64_t padded(int64_t columns) { return Panels(columns).padded(); }

// One head of one sequence: rows t of qkv, split into its parts.
struct Head {
    int64_t unit, T, D, ld;  // ld: from row to row of qkv
    const float *q, *k, *v;
    float scale;

    Head(const Call& call, const float* qkv, int64_t unit_)
        : unit(unit_), T(call.p.T), D(call.p.C / call.p.H), ld(3 * call.p.C) {
        q = qkv + unit / call.p.H * T * ld + unit % call.p.H * D;
        k = q + call.p.C;
        v = k + call.p.C;
        scale = 1.0f / first_lane(square_root(vf(static_cast<float>(D))));
    }
    // Of (R,C) tensors: y, dy.
    int64_t output_offset(const Call& call) const { return unit / call.p.H * T * call.p.C + unit % call.p.H * D; }
};

// Scores become probabilities exp(scale * s - lse) for the first n, zero up to `columns`.
void probabilities(float* s, int64_t n, int64_t columns, float scale, float lse) {
    for_each_vector(n, [&](int64_t i, auto get, auto put) { put(s + i, vexp(madd(get(s + i), vf(scale), vf(-lse)))); });
    for (int64_t i = n; i < columns; ++i) s[i] = 0.0f;
}

float largest_of(const float* s, int64_t n) {
    float most = s[0];
    int64_t i = 0;
    if (n >= kWidth) {
        vf best = load(s);
        for (i = kWidth; i + kWidth <= n; i += kWidth) best = xsimd::max(best, load(s + i));
        alignas(64) float lanes[kWidth];
        best.store_aligned(lanes);
        for (int64_t j = 0; j < kWidth; ++j) most = largest(most, lanes[j]);
    }
    for (; i < n; ++i) most = largest(most, s[i]);
    return most;
}

// The first n scores become softmax(scale * s), the rest up to `columns` zero. Returns the log-sum-exp.
float softmax(float* s, int64_t n, int64_t columns, float scale) {
    const float most = largest_of(s, n) * scale;
    vf sum(0.0f);
    int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) {
        const vf e = vexp(madd(load(s + i), vf(scale), vf(-most)));
        store(s + i, e);
        sum += e;
    }
    float total = reduce_add(sum);
    if (i < n) {
        store_tail(s + i, vexp(madd(load_tail(s + i, n - i), vf(scale), vf(-most))), n - i);
        for (int64_t j = i; j < n; ++j) total += s[j];
    }
    const vf factor(1.0f / total);
    for_each_vector(n, [&](int64_t j, auto get, auto put) { put(s + j, get(s + j) * factor); });
    for (i = n; i < columns; ++i) s[i] = 0.0f;
    return most + static_cast<float>(natural_log(static_cast<double>(total)));
}

uint64_t mask_index(const Head& h, int64_t t) { return static_cast<uint64_t>((h.unit * h.T + t) * h.T); }

}  // namespace

void attention(const Call& call, Range units, void* scratch) {
    const int64_t C = call.p.C;
    for (int64_t unit = units.begin; unit < units.end; ++unit) {
        const Head h(call, call.input<float>(0), unit);
        float* y = call.output<float>(0) + h.output_offset(call);  // rows of C
        float* lse = call.output<float>(1) + unit * h.T;           // (T)
        const int64_t ld = padded(h.T);
        auto* keys = static_cast<float*>(scratch);   // (D,T) in panels
        float* values = keys + h.D * ld;             // (T,D) in panels
        float* scores = values + h.T * padded(h.D);  // (kQueries,T)
        pack_all(true, h.k, h.ld, h.D, h.T, keys);
        pack_all(false, h.v, h.ld, h.T, h.D, values);
        for (int64_t t = 0; t < h.T; t += kQueries) {
            const int64_t M = least(kQueries, h.T - t), seen = t + M;
            product<true>(M, h.T, h.D, Left{h.q + t * h.ld, h.ld, 1}, keys, h.D, 0, scores, ld, nullptr, Start::Zero, seen);
            for (int64_t i = 0; i < M; ++i) {
                float* row = scores + i * ld;
                lse[t + i] = softmax(row, t + i + 1, seen, h.scale);
                if (call.p.dropout != 0) apply_dropout(call, mask_index(h, t + i), t + i + 1, row);
            }
            product<true>(M, h.D, seen, Left{scores, ld, 1}, values, h.T, 0, y + t * C, C, nullptr, Start::Zero, h.D);
        }
    }
}

void attention_backward(const Call& call, Range units, void* scratch) {
    const int64_t C = call.p.C;
    for (int64_t unit = units.begin; unit < units.end; ++unit) {
        const Head h(call, call.input<float>(1), unit);
        const float* dy = call.input<float>(0) + h.output_offset(call);
        const float* y = call.input<float>(2) + h.output_offset(call);
        const float* lse = call.input<float>(3) + unit * h.T;
        float* dq = call.output<float>(0) + (h.q - call.input<float>(1));
        float *dk = dq + C, *dv = dk + C;
        const int64_t ld = padded(h.T), width = padded(h.D);
        auto* keys_t = static_cast<float*>(scratch);  // (D,T) in panels
        float* values_t = keys_t + h.D * ld;          // (D,T) in panels
        float* keys = values_t + h.D * ld;            // (T,D) in panels, as are the next two
        float* queries = keys + h.T * width;
        float* outputs = queries + h.T * width;
        float* P = outputs + h.T * width;  // (kQueries,T) probabilities
        float* dS = P + kQueries * ld;     // (kQueries,T)
        float* mask = dS + kQueries * ld;  // (T)
        pack_all(true, h.k, h.ld, h.D, h.T, keys_t);
        pack_all(true, h.v, h.ld, h.D, h.T, values_t);
        pack_all(false, h.k, h.ld, h.T, h.D, keys);
        pack_all(false, h.q, h.ld, h.T, h.D, queries);
        pack_all(false, dy, C, h.T, h.D, outputs);
        for (int64_t t = 0; t < h.T; t += kQueries) {
            const int64_t M = least(kQueries, h.T - t), seen = t + M;
            product<true>(M, h.T, h.D, Left{h.q + t * h.ld, h.ld, 1}, keys_t, h.D, 0, P, ld, nullptr, Start::Zero, seen);
            product<true>(M, h.T, h.D, Left{dy + t * C, C, 1}, values_t, h.D, 0, dS, ld, nullptr, Start::Zero, seen);
            for (int64_t i = 0; i < M; ++i) {
                const int64_t n = t + i + 1;
                float *p = P + i * ld, *d = dS + i * ld;
                probabilities(p, n, seen, h.scale, lse[t + i]);
                vf sum(0.0f);
                for_each_vector(h.D, [&](int64_t j, auto get, auto) {
                    sum = madd(get(dy + (t + i) * C + j), get(y + (t + i) * C + j), sum);
                });
                const vf dy_y(reduce_add(sum));
                if (call.p.dropout != 0) {
                    dropout_factors(call, mask_index(h, t + i), n, mask);
                    for_each_vector(n, [&](int64_t s, auto get, auto put) {
                        const vf m = get(mask + s), prob = get(p + s);
                        put(d + s, prob * (get(d + s) * m - dy_y) * vf(h.scale));
                        put(p + s, prob * m);
                    });
                } else {
                    for_each_vector(n, [&](int64_t s, auto get, auto put) {
                        put(d + s, get(p + s) * (get(d + s) - dy_y) * vf(h.scale));
                    });
                }
                for (int64_t s = n; s < seen; ++s) d[s] = 0.0f;
            }
            product<true>(M, h.D, seen, Left{dS, ld, 1}, keys, h.T, 0, dq + t * h.ld, h.ld, nullptr, Start::Zero, h.D);
            // Keys before this block have gradients from earlier blocks; those in it get their first here.
            for (const Range rows : {
                     Range{0, t   },
                     Range{t, seen}
            }) {
                const Start start = rows.begin == t ? Start::Zero : Start::Add;
                const int64_t count = rows.end - rows.begin;
                product<false>(count, h.D, M, Left{dS + rows.begin, 1, ld}, queries, h.T, t, dk + rows.begin * h.ld, h.ld,
                               nullptr, t == 0 ? Start::Zero : start, h.D);
                product<false>(count, h.D, M, Left{P + rows.begin, 1, ld}, outputs, h.T, t, dv + rows.begin * h.ld, h.ld,
                               nullptr, t == 0 ? Start::Zero : start, h.D);
            }
        }
    }
}

namespace {

constexpr int64_t kAhead = 32;  // rows of keys or values: how far ahead memory is asked for them

// One head and its cache, keys and values (S,D) of type Cell.
template <class Cell>
struct CachedHead {
    Head h;
    int64_t S, C;
    const int32_t* positions;  // (T)
    Cell *keys, *values;
    float* y;  // rows of C

    CachedHead(const Call& call, int64_t unit) : h(call, call.input<float>(0), unit), S(call.p.S), C(call.p.C) {
        positions = call.input<int32_t>(1) + unit / call.p.H * h.T;
        keys = call.output<Cell>(1) + unit * S * h.D;
        values = call.output<Cell>(2) + unit * S * h.D;
        y = call.output<float>(0) + h.output_offset(call);
    }

    void store_rows(int64_t T) const {
        for (int64_t t = 0; t < T; ++t)
            for_each_vector(h.D, [&](int64_t i, auto get, auto put) {
                put(keys + positions[t] * h.D + i, get(h.k + t * h.ld + i));
                put(values + positions[t] * h.D + i, get(h.v + t * h.ld + i));
            });
    }

    // Asks memory for a row, so that it is there a while later.
    void fetch(const Cell* row) const {
        for (int64_t i = 0; i < h.D; i += static_cast<int64_t>(64 / sizeof(Cell))) __builtin_prefetch(row + i, 0, 3);
    }

    // One query row: dot products straight on the cache.
    void attend(int64_t t, float* scores) const {
        const int64_t n = positions[t] + 1;
        const float* q = h.q + t * h.ld;
        for (int64_t s = 0; s < n; ++s) {
            fetch(keys + (s + kAhead) * h.D);
            vf sum(0.0f);
            for_each_vector(h.D, [&](int64_t i, auto get, auto) { sum = madd(get(q + i), get(keys + s * h.D + i), sum); });
            scores[s] = reduce_add(sum);
        }
        softmax(scores, n, n, h.scale);
        // Four sums side by side: one alone would wait for itself.
        constexpr int64_t kStep = 4 * kWidth;
        int64_t d = 0;
        for (; d + kStep <= h.D; d += kStep) {
            vf sum[4] = {vf(0.0f), vf(0.0f), vf(0.0f), vf(0.0f)};
            for (int64_t s = 0; s < n; ++s) {
                fetch(values + (s + kAhead) * h.D);
                for (int64_t i = 0; i < 4; ++i)
                    sum[i] = madd(vf(scores[s]), load(values + s * h.D + d + i * kWidth), sum[i]);
            }
            for (int64_t i = 0; i < 4; ++i) store(y + t * C + d + i * kWidth, sum[i]);
        }
        for_each_vector(h.D - d, [&](int64_t i, auto get, auto put) {
            vf sum(0.0f);
            for (int64_t s = 0; s < n; ++s) sum = madd(vf(scores[s]), get(values + s * h.D + d + i), sum);
            put(y + t * C + d + i, sum);
        });
    }

    // Many query rows: blocks of them as matrix products with the packed cache.
    void attend_blocks(int64_t T, float* scratch) const {
        int64_t seen = 0;
        for (int64_t t = 0; t < T; ++t) seen = largest<int64_t>(seen, positions[t] + 1);
        const int64_t ld = padded(seen), width = padded(h.D);
        float* keys_t = scratch;                // (D,seen) in panels
        float* packed = keys_t + h.D * ld;      // (seen,D) in panels
        float* scores = packed + seen * width;  // (kQueries,seen)
        pack_all(true, keys, h.D, h.D, seen, keys_t);
        pack_all(false, values, h.D, seen, h.D, packed);
        for (int64_t t = 0; t < T; t += kQueries) {
            const int64_t M = least(kQueries, T - t);
            int64_t columns = 0;
            for (int64_t i = 0; i < M; ++i) columns = largest<int64_t>(columns, positions[t + i] + 1);
            product<true>(M, seen, h.D, Left{h.q + t * h.ld, h.ld, 1}, keys_t, h.D, 0, scores, ld, nullptr, Start::Zero,
                          columns);
            for (int64_t i = 0; i < M; ++i) softmax(scores + i * ld, positions[t + i] + 1, columns, h.scale);
            product<true>(M, h.D, columns, Left{scores, ld, 1}, packed, seen, 0, y + t * C, C, nullptr, Start::Zero, h.D);
        }
    }
};

constexpr int64_t kManyQueries = 8;  // from here on packing the cache pays

template <class Cell>
void attend_cached(const Call& call, Range units, float* scratch) {
    const int64_t T = call.rows() / call.p.B;
    for (int64_t unit = units.begin; unit < units.end; ++unit) {
        const CachedHead<Cell> head(call, unit);
        head.store_rows(T);
        if (T >= kManyQueries)
            head.attend_blocks(T, scratch);
        else
            for (int64_t t = 0; t < T; ++t) head.attend(t, scratch);
    }
}

}  // namespace

void attention_cached(const Call& call, Range units, void* scratch) {
    if (call.p.type == DType::F16)
        attend_cached<Half>(call, units, static_cast<float*>(scratch));
    else
        attend_cached<float>(call, units, static_cast<float*>(scratch));
}

size_t attention_scratch_bytes(const Call& call) {
    const int64_t T = call.p.T, D = call.p.C / call.p.H, ld = padded(T), width = padded(D);
    if (call.op == Op::AttentionCached && T < kManyQueries) return static_cast<size_t>(call.p.S) * sizeof(float);
    if (call.op == Op::AttentionCached)
        return static_cast<size_t>((D + kQueries) * padded(call.p.S) + call.p.S * width) * sizeof(float);
    if (call.op == Op::Attention) return static_cast<size_t>(D * ld + T * width + kQueries * ld) * sizeof(float);
    return static_cast<size_t>(2 * D * ld + 3 * T * width + (2 * kQueries + 1) * ld) * sizeof(float);
}

}  // namespace nib::cpu::NIB_ISA
