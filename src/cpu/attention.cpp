// Attention, flash-style (Dao et al. 2022): a block of query rows at a time against all keys they may see, forward and
// backward, so that no (T,S) matrix is stored; backward recomputes the probabilities from the log-sum-exp. Formulas:
// src/ref/attention.cpp.
#include "cpu/dropout.h"
#include "cpu/formats.h"
#include "cpu/gemm.h"
#include "cpu/simd.h"
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

constexpr int64_t kQueries = 32;  // query rows in a block

int64_t padded(int64_t columns) { return Panels(columns).padded(); }

// Rows of an operand that may be a slice of the columns of a wider tensor.
struct Rows {
    float* data;
    int64_t stride;
    Rows(const Call& call, int operand, int64_t width)
        : data(call.output<float>(operand)), stride(call.stride[operand] > 0 ? call.stride[operand] : width) {}
    Rows from(int64_t row, int64_t column) const {
        Rows r = *this;
        r.data += row * stride + column;
        return r;
    }
    float* operator[](int64_t row) const { return data + row * stride; }
};

// The interval of keys that each query of a sequence sees. Neither end ever decreases from query to query.
struct Mask {
    const int32_t* spans;  // (T,2) or null
    int64_t S, window;
    bool causal;
    Mask(const Call& call, int operand, int64_t sequence)
        : spans(call.has(operand) ? call.input<int32_t>(operand) + 2 * sequence * call.p.T : nullptr),
          S(call.p.B == 1 ? call.key_rows() : call.p.S),
          window(call.p.window),
          causal(call.p.causal) {}
    int64_t first(int64_t t) const {
        int64_t s = spans ? max<int64_t>(0, spans[2 * t]) : 0;
        if (window > 0) s = max<int64_t>(s, t + 1 - window);
        return min(s, S);
    }
    int64_t end(int64_t t) const {
        int64_t s = spans ? min<int64_t>(S, spans[2 * t + 1]) : S;
        if (causal) s = min<int64_t>(s, t + 1);
        return max<int64_t>(s, first(t));
    }
    // The same within `keys`, counted from their first.
    Range of_block(int64_t t, int64_t M, Range keys) const {
        const Range block = of_block(t, M);
        return block.begin < block.end ? Range{block.begin - keys.begin, block.end - keys.begin} : Range{0, 0};
    }
    // The smallest interval of all keys that queries [t, t + M) see; {0, 0} if they see none.
    Range of_block(int64_t t, int64_t M) const {
        Range keys{S, 0};
        for (int64_t i = t; i < t + M; ++i)
            if (first(i) < end(i)) keys = {min(keys.begin, first(i)), max(keys.end, end(i))};
        return keys.begin < keys.end ? keys : Range{0, 0};
    }
};

// Queries of a sequence, whole blocks of them but for the last, and all keys that they see: these are packed at once.
struct Chunk {
    Range queries, keys;
};

// The one that begins with query t. It ends where it would have too many keys for the cache, of which the next queries do
// not see at least half: where rows are many short texts, keys are packed and read again while they are near.
Chunk next_chunk(const Mask& mask, int64_t t, int64_t T) {
    constexpr int64_t kKeys = 256;
    Chunk chunk{
        {t, t},
        {0, 0}
    };
    Range& keys = chunk.keys;
    for (int64_t& end = chunk.queries.end; end < T; end = min(T, end + kQueries)) {
        const Range block = mask.of_block(end, min(kQueries, T - end));
        if (block.begin == block.end) continue;
        if (keys.begin == keys.end) keys = block;
        if (block.end - keys.begin > kKeys && block.begin - keys.begin >= kKeys / 2) break;
        keys.end = block.end;
    }
    return chunk;
}

// Queries in use of a sequence.
int64_t queries(const Call& call) { return call.p.B == 1 ? call.rows() : call.p.T; }

// Index of the first element of query t in the dropout mask (B,H,T,S).
uint64_t mask_index(const Call& call, int64_t unit, int64_t t) {
    return static_cast<uint64_t>((unit * call.p.T + t) * call.p.S);
}

// Turns the first n scores into probabilities exp(scale * s - lse), and zeroes the rest up to `columns`.
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
        for (int64_t j = 0; j < kWidth; ++j) most = max(most, lanes[j]);
    }
    for (; i < n; ++i) most = max(most, s[i]);
    return most;
}

// Turns the first n scores into softmax(scale * s), and zeroes the rest up to `columns`. Returns the log-sum-exp.
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

void fill_zero(float* s, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) s[i] = 0.0f;
}

}  // namespace

void attention(const Call& call, Range units, void* scratch) {
    using O = operand::Attention;
    const Params& p = call.p;
    const int64_t D = p.D, S = p.S, T = queries(call);
    auto* keys = static_cast<float*>(scratch);  // of a chunk: (D,S) in panels
    float* values = keys + D * padded(S);       // (S,D) in panels
    float* scores = values + S * padded(D);     // (kQueries,S)
    for (int64_t unit = units.begin; unit < units.end; ++unit) {
        const int64_t b = unit / p.H, h = unit % p.H, g = h / (p.H / p.G);
        const Rows q = Rows(call, O::q, p.C).from(b * p.T, h * D), k = Rows(call, O::k, p.K).from(b * S, g * D),
                   v = Rows(call, O::v, p.K).from(b * S, g * D), y = Rows(call, O::y, p.C).from(b * p.T, h * D);
        const Mask mask(call, O::spans, b);
        Chunk chunk{};
        int64_t packed = 0, ld = 0;  // keys of the chunk
        for (int64_t t = 0; t < T; t += kQueries) {
            if (t == chunk.queries.end) {
                chunk = next_chunk(mask, t, T);
                packed = chunk.keys.end - chunk.keys.begin, ld = padded(packed);
                pack_all(true, k[chunk.keys.begin], k.stride, D, packed, keys);
                pack_all(false, v[chunk.keys.begin], v.stride, packed, D, values);
            }
            const int64_t M = min(kQueries, T - t);
            const auto [begin, end] = mask.of_block(t, M, chunk.keys);
            product<true>(M, packed, D, Left{q[t], q.stride, 1}, keys, D, 0, scores, ld, nullptr, Start::Zero, end, begin);
            for (int64_t i = 0; i < M; ++i) {
                const int64_t from = mask.first(t + i), n = mask.end(t + i) - from, first = from - chunk.keys.begin;
                float* row = scores + i * ld;
                const float lse = n > 0 ? softmax(row + first, n, end - first, p.scale) : 0.0f;
                fill_zero(row, begin, n > 0 ? first : end);
                if (call.has(O::lse)) call.output<float>(O::lse)[unit * p.T + t + i] = lse;
                if (call.has(O::weights)) {
                    float* out = call.output<float>(O::weights) + (unit * p.T + t + i) * S;
                    fill_zero(out, 0, S);
                    for (int64_t s = begin; s < end; ++s) out[chunk.keys.begin + s] = row[s];
                }
                if (p.dropout != 0)
                    apply_dropout(call, mask_index(call, unit, t + i) + static_cast<uint64_t>(from), n, row + first);
            }
            product<true>(M, D, end - begin, Left{scores + begin, ld, 1}, values, packed, begin, y[t], y.stride, nullptr,
                          Start::Zero, D);
        }
    }
}

namespace {

// Scratch memory of attention_backward, for a chunk of one key head.
struct BackwardScratch {
    float *keys_t, *values_t, *keys;  // (D,S), (D,S), (S,D) in panels
    float *queries, *outputs;         // (T,D) in panels
    float *P, *dS, *factors;          // (kQueries,S), (kQueries,S), (S)
    BackwardScratch(const Params& p, float* at) {
        const int64_t ld = padded(p.S), width = padded(p.D);
        const auto take = [&](int64_t count) { return at += count, at - count; };
        keys_t = take(p.D * ld), values_t = take(p.D * ld), keys = take(p.S * width);
        queries = take(p.T * width), outputs = take(p.T * width);
        P = take(kQueries * ld), dS = take(kQueries * ld), factors = take(ld);
    }
    static int64_t floats(const Params& p) {
        const int64_t ld = padded(p.S), width = padded(p.D);
        return 2 * p.D * ld + (p.S + 2 * p.T) * width + (2 * kQueries + 1) * ld;
    }
};

// Turns dP (in d) into dS, and P (in p) into the probabilities after dropout, for n keys of a query; `index` is that of the
// first in the dropout mask.
void score_gradient(const Call& call, uint64_t index, int64_t n, float dy_y, float* p, float* d, float* factors) {
    const vf minus(dy_y), scale(call.p.scale);
    if (call.p.dropout != 0) {
        dropout_factors(call, index, n, factors);
        for_each_vector(n, [&](int64_t s, auto get, auto put) {
            const vf m = get(factors + s), prob = get(p + s);
            put(d + s, prob * (get(d + s) * m - minus) * scale);
            put(p + s, prob * m);
        });
    } else {
        for_each_vector(n, [&](int64_t s, auto get, auto put) { put(d + s, get(p + s) * (get(d + s) - minus) * scale); });
    }
}

}  // namespace

void attention_backward(const Call& call, Range units, void* scratch) {
    using O = operand::AttentionBackward;
    const Params& p = call.p;
    const int64_t D = p.D, S = p.S, T = queries(call), group = p.H / p.G;
    const BackwardScratch at(p, static_cast<float*>(scratch));
    for (int64_t unit = units.begin; unit < units.end; ++unit) {
        const int64_t b = unit / p.G, g = unit % p.G;
        const auto of_keys = [&](int operand) { return Rows(call, operand, p.K).from(b * S, g * D); };
        const Rows k = of_keys(O::k), v = of_keys(O::v), dk = of_keys(O::dk), dv = of_keys(O::dv);
        const Mask mask(call, O::spans, b);
        int64_t seen = 0;  // keys before this one have gradients
        const auto clear = [&](int64_t until) {
            for (; seen < until; ++seen) fill_zero(dk[seen], 0, D), fill_zero(dv[seen], 0, D);
        };
        for (Chunk chunk = next_chunk(mask, 0, T); chunk.queries.begin < T;
             chunk = next_chunk(mask, chunk.queries.end, T)) {
            const int64_t origin = chunk.keys.begin, keys = chunk.keys.end - origin, ld = padded(keys);
            const int64_t start_query = chunk.queries.begin, count = chunk.queries.end - start_query;
            pack_all(true, k[origin], k.stride, D, keys, at.keys_t);
            pack_all(true, v[origin], v.stride, D, keys, at.values_t);
            pack_all(false, k[origin], k.stride, keys, D, at.keys);
            for (int64_t h = g * group; h < (g + 1) * group; ++h) {
                const auto of_queries = [&](int operand) { return Rows(call, operand, p.C).from(b * p.T, h * D); };
                const Rows q = of_queries(O::q), dq = of_queries(O::dq), dy = of_queries(O::dy), y = of_queries(O::y);
                const float* lse = call.input<float>(O::lse) + (b * p.H + h) * p.T;
                pack_all(false, q[start_query], q.stride, count, D, at.queries);
                pack_all(false, dy[start_query], dy.stride, count, D, at.outputs);
                for (int64_t t = start_query; t < chunk.queries.end; t += kQueries) {
                    const int64_t M = min(kQueries, T - t);
                    const auto [begin, end] = mask.of_block(t, M, chunk.keys);
                    product<true>(M, keys, D, Left{q[t], q.stride, 1}, at.keys_t, D, 0, at.P, ld, nullptr, Start::Zero, end,
                                  begin);
                    product<true>(M, keys, D, Left{dy[t], dy.stride, 1}, at.values_t, D, 0, at.dS, ld, nullptr, Start::Zero,
                                  end, begin);
                    for (int64_t i = 0; i < M; ++i) {
                        const int64_t from = mask.first(t + i), n = mask.end(t + i) - from, first = from - origin;
                        float *P = at.P + i * ld, *dS = at.dS + i * ld;
                        fill_zero(P, begin, n > 0 ? first : end), fill_zero(dS, begin, n > 0 ? first : end);
                        if (n == 0) continue;
                        probabilities(P + first, n, end - first, p.scale, lse[t + i]);
                        vf sum(0.0f);
                        for_each_vector(
                            D, [&](int64_t j, auto get, auto) { sum = madd(get(dy[t + i] + j), get(y[t + i] + j), sum); });
                        score_gradient(call, mask_index(call, b * p.H + h, t + i) + static_cast<uint64_t>(from), n,
                                       reduce_add(sum), P + first, dS + first, at.factors);
                        fill_zero(dS, first + n, end);
                    }
                    product<true>(M, D, end - begin, Left{at.dS + begin, ld, 1}, at.keys, keys, begin, dq[t], dq.stride,
                                  nullptr, Start::Zero, D);
                    if (begin == end) continue;
                    // Up to `old` keys have gradients from earlier blocks of queries, or of another head.
                    const bool first_head = h == g * group;
                    if (first_head) clear(origin + begin);
                    const int64_t old = first_head ? min(seen - origin, end) : end;
                    for (const Range rows : {
                             Range{begin, old},
                             Range{old,   end}
                    }) {
                        if (rows.begin == rows.end) continue;
                        const Start start = rows.begin < old ? Start::Add : Start::Zero;
                        const int64_t to = origin + rows.begin, M_first = t - start_query;
                        product<false>(rows.end - rows.begin, D, M, Left{at.dS + rows.begin, 1, ld}, at.queries, count,
                                       M_first, dk[to], dk.stride, nullptr, start, D);
                        product<false>(rows.end - rows.begin, D, M, Left{at.P + rows.begin, 1, ld}, at.outputs, count,
                                       M_first, dv[to], dv.stride, nullptr, start, D);
                    }
                    seen = max(seen, origin + end);
                }
            }
        }
        clear(mask.S);
    }
}

// ---- with a cache ----------------------------------------------------------------------------------------------------

namespace {

constexpr int64_t kPrefetchRows = 32;  // how far ahead keys and values are prefetched
constexpr int64_t kManyQueries = 8;    // of one slot: from here on, packing the cache pays off

// One head of keys and values of one slot, (S,D) of type Cell, and the query rows that see them.
template <class Cell>
struct CachedHead {
    const Params& p;
    const int32_t* spans;  // (R,2)
    Cell *keys, *values;
    Rows q, y;  // of the first query head of the group

    CachedHead(const Call& call, int64_t slot, int64_t g)
        : p(call.p),
          spans(call.input<int32_t>(operand::AttentionCached::spans)),
          keys(call.output<Cell>(operand::AttentionCached::keys) + (slot * p.G + g) * p.S * p.D),
          values(call.output<Cell>(operand::AttentionCached::values) + (slot * p.G + g) * p.S * p.D),
          q(Rows(call, operand::AttentionCached::q, p.C).from(0, g * group() * p.D)),
          y(Rows(call, operand::AttentionCached::y, p.C).from(0, g * group() * p.D)) {}

    int64_t group() const { return p.H / p.G; }
    int64_t end(int64_t r) const { return spans[2 * r + 1]; }
    int64_t first(int64_t r) const { return p.window > 0 ? max<int64_t>(spans[2 * r], end(r) - p.window) : spans[2 * r]; }

    void prefetch(const Cell* row) const {
        for (int64_t i = 0; i < p.D; i += static_cast<int64_t>(64 / sizeof(Cell))) __builtin_prefetch(row + i, 0, 3);
    }

    // One query row: dot products straight on the cache.
    void attend(int64_t r, int64_t h, float* scores) const {
        const int64_t from = first(r), n = end(r) - from, D = p.D;
        const float* query = q[r] + h * D;
        float* out = y[r] + h * D;
        if (n <= 0) return fill_zero(out, 0, D);
        const Cell *k = keys + from * D, *v = values + from * D;
        for (int64_t s = 0; s < n; ++s) {
            prefetch(k + (s + kPrefetchRows) * D);
            prefetch(v + s * D);
            vf sum(0.0f);
            for_each_vector(D, [&](int64_t i, auto get, auto) { sum = madd(get(query + i), get(k + s * D + i), sum); });
            scores[s] = reduce_add(sum);
        }
        softmax(scores, n, n, p.scale);
        // Four independent sums, since a single one would be limited by the latency of multiply-adds.
        constexpr int64_t kStep = 4 * kWidth;
        int64_t d = 0;
        for (; d + kStep <= D; d += kStep) {
            vf sum[4] = {vf(0.0f), vf(0.0f), vf(0.0f), vf(0.0f)};
            for (int64_t s = 0; s < n; ++s) {
                for (int64_t i = 0; i < 4; ++i) sum[i] = madd(vf(scores[s]), load(v + s * D + d + i * kWidth), sum[i]);
            }
            for (int64_t i = 0; i < 4; ++i) store(out + d + i * kWidth, sum[i]);
        }
        for_each_vector(D - d, [&](int64_t i, auto get, auto put) {
            vf sum(0.0f);
            for (int64_t s = 0; s < n; ++s) sum = madd(vf(scores[s]), get(v + s * D + d + i), sum);
            put(out + d + i, sum);
        });
    }

    // Many query rows: matrix products of blocks of them with the packed cache, keys 0 to `seen`.
    void attend_blocks(Range rows, float* scratch) const {
        const int64_t D = p.D;
        int64_t seen = 0;
        for (int64_t r = rows.begin; r < rows.end; ++r) seen = max(seen, end(r));
        const int64_t ld = padded(seen), width = padded(D);
        float* keys_t = scratch;                // (D,seen) in panels
        float* packed = keys_t + D * ld;        // (seen,D) in panels
        float* scores = packed + seen * width;  // (kQueries,seen)
        pack_all(true, keys, D, D, seen, keys_t);
        pack_all(false, values, D, seen, D, packed);
        for (int64_t h = 0; h < group(); ++h)
            for (int64_t r = rows.begin, M; r < rows.end; r += M) {
                M = block_rows(r, rows.end);
                attend_block(r, M, h, seen, keys_t, packed, scores);
            }
    }

    // How many rows from r on form a block. There must be no gaps between the keys they see: unseen keys may be
    // uninitialized.
    int64_t block_rows(int64_t r, int64_t limit) const {
        Range keys{first(r), end(r)};
        int64_t M = 1;
        for (; M < min(kQueries, limit - r); ++M) {
            const int64_t from = first(r + M), until = end(r + M);
            if (from > keys.end || until < keys.begin) break;
            keys = {min(keys.begin, from), max(keys.end, until)};
        }
        return M;
    }

    void attend_block(int64_t r, int64_t M, int64_t h, int64_t seen, const float* keys_t, const float* packed,
                      float* scores) const {
        const int64_t D = p.D, ld = padded(seen);
        int64_t from = seen, until = 0;
        for (int64_t i = r; i < r + M; ++i) from = min(from, first(i)), until = max(until, end(i));
        from = min(from, until);
        product<true>(M, seen, D, Left{q[r] + h * D, q.stride, 1}, keys_t, D, 0, scores, ld, nullptr, Start::Zero, until,
                      from);
        for (int64_t i = 0; i < M; ++i) {
            float* row = scores + i * ld;
            const int64_t begin = first(r + i), n = end(r + i) - begin;
            if (n > 0) softmax(row + begin, n, until - begin, p.scale);
            fill_zero(row, from, n > 0 ? begin : until);
        }
        product<true>(M, D, until - from, Left{scores + from, ld, 1}, packed, seen, from, y[r] + h * D, y.stride, nullptr,
                      Start::Zero, D);
    }
};

// Whether row r is in a run of at least kManyQueries rows of its slot.
bool in_long_run(const int32_t* slots, int64_t r, int64_t rows) {
    int64_t begin = r, end = r + 1;
    while (begin > 0 && slots[begin - 1] == slots[r] && end - begin < kManyQueries) --begin;
    while (end < rows && slots[end] == slots[r] && end - begin < kManyQueries) ++end;
    return end - begin >= kManyQueries;
}

template <class Cell>
void attend_cached(const Call& call, Range units, float* scratch) {
    const auto* slots = call.input<int32_t>(operand::AttentionCached::slots);
    const int64_t R = call.p.B * call.p.T, live = call.rows();
    for (int64_t unit = units.begin; unit < units.end;) {
        const int64_t g = unit / R, r = unit % R;
        if (r >= live) {
            unit = (g + 1) * R;
            continue;
        }
        const CachedHead<Cell> head(call, slots[r], g);
        int64_t end = r + 1;
        if (in_long_run(slots, r, live)) {
            while (end < min(live, r + units.end - unit) && slots[end] == slots[r]) ++end;
            head.attend_blocks({r, end}, scratch);
        } else {
            for (int64_t h = 0; h < head.group(); ++h) head.attend(r, h, scratch);
        }
        unit += end - r;
    }
}

template <class Cell>
void store_rows(const Call& call, Range rows) {
    using O = operand::CacheStore;
    const Params& p = call.p;
    const Rows k(call, O::k, p.K), v(call, O::v, p.K);
    for (int64_t r = rows.begin; r < rows.end; ++r)
        for (int64_t g = 0; g < p.G; ++g) {
            const int64_t to =
                ((call.input<int32_t>(O::slots)[r] * p.G + g) * p.S + call.input<int32_t>(O::positions)[r]) * p.D;
            Cell *key = call.output<Cell>(O::keys) + to, *value = call.output<Cell>(O::values) + to;
            for_each_vector(p.D, [&](int64_t i, auto get, auto put) {
                put(key + i, get(k[r] + g * p.D + i));
                put(value + i, get(v[r] + g * p.D + i));
            });
        }
}

}  // namespace

void cache_store(const Call& call, Range rows, void*) {
    call.type[operand::CacheStore::keys] == DType::F16 ? store_rows<Half>(call, rows) : store_rows<float>(call, rows);
}

void attention_cached(const Call& call, Range units, void* scratch) {
    if (call.type[operand::AttentionCached::keys] == DType::F16)
        attend_cached<Half>(call, units, static_cast<float*>(scratch));
    else
        attend_cached<float>(call, units, static_cast<float*>(scratch));
}

size_t attention_scratch_bytes(const Call& call) {
    const Params& p = call.p;
    const int64_t D = p.D, S = p.S, ld = padded(S), width = padded(D);
    int64_t floats = 0;
    if (call.op == Op::Attention) floats = D * ld + S * width + kQueries * ld;
    if (call.op == Op::AttentionBackward) floats = BackwardScratch::floats(p);
    if (call.op == Op::AttentionCached) floats = p.B * p.T < kManyQueries ? S : (D + kQueries) * ld + S * width;
    return static_cast<size_t>(floats) * sizeof(float);
}

}  // namespace nib::cpu::NIB_ISA
