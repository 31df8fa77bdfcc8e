#include <algorithm>
#include <cmath>
#include <vector>

#include "core/philox.h"
#include "quant/quantize.h"
#include "ref/ops.h"

// Scaled dot-product attention (Vaswani et al. 2017), the only op that mixes information across time. Queries have H heads
// of D numbers side by side, keys and values G heads, each for H/G heads of queries (Ainslie et al. 2023).
namespace nib::ref {
namespace {

// Dropout of the weight of key s for query t of head unit (b*H + h): the mask is laid out as (B,H,T,S).
double dropout(const Call& call, int64_t unit, int64_t t, int64_t s) {
    const auto index = static_cast<uint64_t>((unit * call.p.T + t) * call.p.S + s);
    return dropout_factor(call.step->seed, call.step->index, call.p.stream, call.p.dropout, index);
}

template <class Real, class Row>
double dot(const Real* a, const Row& b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
    return sum;
}

// exp(scores - log-sum-exp); returns the log-sum-exp.
double softmax(std::vector<double>& scores) {
    if (scores.empty()) return 0;
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (const double s : scores) sum += std::exp(s - largest);
    const double lse = largest + std::log(sum);
    for (double& s : scores) s = std::exp(s - lse);
    return lse;
}

// The keys that query t of sequence b sees. Positions of queries and keys count from the first row of the sequence, so with
// fewer queries than keys, causal attention does not reach the last keys.
Range keys_of(const Call& call, int spans, int64_t b, int64_t t) {
    const Params& p = call.p;
    Range keys{0, p.B == 1 ? call.key_rows() : p.S};
    if (call.has(spans)) {
        const auto* span = call.input<int32_t>(spans) + 2 * (b * p.T + t);
        keys = {std::max<int64_t>(0, span[0]), std::min<int64_t>(keys.end, span[1])};
    }
    if (p.causal) keys.end = std::min(keys.end, t + 1);
    if (p.window > 0) keys.begin = std::max(keys.begin, t + 1 - p.window);
    return {keys.begin, std::max(keys.begin, keys.end)};
}

// Queries in use of a sequence.
int64_t queries(const Call& call) { return call.p.B == 1 ? call.rows() : call.p.T; }

// Row `row` of a tensor that may be a slice, from `column` on.
template <class Real>
Real* slice(const Call& call, int operand, int64_t row, int64_t width, int64_t column) {
    const int64_t stride = call.stride[operand] > 0 ? call.stride[operand] : width;
    return call.output<Real>(operand) + row * stride + column;
}

}  // namespace

// P[t,s] = softmax_s(scale q_t . k_s) over the keys that t sees,  y_t = sum_s dropout(P[t,s]) v_s,  lse[t] = the softmax's
// log-sum-exp; y_t = 0 when it sees none
template <class Real>
void attention(const Call& call, Range heads, void*) {
    using O = operand::Attention;
    const Params& p = call.p;
    const int64_t D = p.D;
    for (int64_t unit = heads.begin; unit < heads.end; ++unit) {
        const int64_t b = unit / p.H, h = unit % p.H, g = h / (p.H / p.G);
        const auto key = [&](int operand, int64_t s) { return slice<Real>(call, operand, b * p.S + s, p.K, g * D); };
        for (int64_t t = 0; t < queries(call); ++t) {
            const Range keys = keys_of(call, O::spans, b, t);
            const Real* q = slice<Real>(call, O::q, b * p.T + t, p.C, h * D);
            std::vector<double> weights(static_cast<size_t>(keys.end - keys.begin));
            for (int64_t s = keys.begin; s < keys.end; ++s)
                weights[static_cast<size_t>(s - keys.begin)] = static_cast<double>(p.scale) * dot(q, key(O::k, s), D);
            const double lse = softmax(weights);
            if (call.has(O::lse)) call.output<Real>(O::lse)[unit * p.T + t] = static_cast<Real>(lse);
            if (call.has(O::weights))
                for (int64_t s = 0; s < p.S; ++s)
                    call.output<Real>(O::weights)[(unit * p.T + t) * p.S + s] = static_cast<Real>(
                        s < keys.begin || s >= keys.end ? 0 : weights[static_cast<size_t>(s - keys.begin)]);
            for (int64_t d = 0; d < D; ++d) {
                double sum = 0;
                for (int64_t s = keys.begin; s < keys.end; ++s)
                    sum += weights[static_cast<size_t>(s - keys.begin)] * dropout(call, unit, t, s) * key(O::v, s)[d];
                call.output<Real>(O::y)[(b * p.T + t) * p.C + h * D + d] = static_cast<Real>(sum);
            }
        }
    }
}

// With M the dropout factors and sums over the queries t that see s, in all query heads of a key head:
// dv_s = sum_t P M dy_t,  dP = (dy_t . v_s) M,  dS = P (dP - dy_t . y_t),  dq_t = scale sum_s dS k_s,
// dk_s = scale sum_t dS q_t
template <class Real>
void attention_backward(const Call& call, Range key_heads, void*) {
    using O = operand::AttentionBackward;
    const auto* lse = call.input<Real>(O::lse);  // (B,H,T)
    const Params& p = call.p;
    const int64_t D = p.D, T = queries(call), S = p.B == 1 ? call.key_rows() : p.S, group = p.H / p.G;
    const double scale = p.scale;
    for (int64_t unit = key_heads.begin; unit < key_heads.end; ++unit) {
        const int64_t b = unit / p.G, g = unit % p.G;
        std::vector<double> dk(static_cast<size_t>(S * D)), dv(dk);
        for (int64_t h = g * group; h < (g + 1) * group; ++h)
            for (int64_t t = 0; t < T; ++t) {
                const Real* q = slice<Real>(call, O::q, b * p.T + t, p.C, h * D);
                const Real* dy = call.input<Real>(O::dy) + (b * p.T + t) * p.C + h * D;
                const double dy_y = dot(dy, call.input<Real>(O::y) + (b * p.T + t) * p.C + h * D, D);
                const Range keys = keys_of(call, O::spans, b, t);
                std::vector<double> dq(static_cast<size_t>(D));
                for (int64_t s = keys.begin; s < keys.end; ++s) {
                    const Real* k = slice<Real>(call, O::k, b * p.S + s, p.K, g * D);
                    const Real* v = slice<Real>(call, O::v, b * p.S + s, p.K, g * D);
                    const double P = std::exp(scale * dot(q, k, D) - lse[(b * p.H + h) * p.T + t]);
                    const double M = dropout(call, b * p.H + h, t, s);
                    const double dS = P * (dot(dy, v, D) * M - dy_y);
                    for (int64_t i = 0; i < D; ++i) {
                        dq[static_cast<size_t>(i)] += scale * dS * k[i];
                        dk[static_cast<size_t>(s * D + i)] += scale * dS * q[i];
                        dv[static_cast<size_t>(s * D + i)] += P * M * dy[i];
                    }
                }
                std::transform(dq.begin(), dq.end(), slice<Real>(call, O::dq, b * p.T + t, p.C, h * D),
                               [](double d) { return static_cast<Real>(d); });
            }
        for (int64_t s = 0; s < S; ++s)
            for (int64_t i = 0; i < D; ++i) {
                slice<Real>(call, O::dk, b * p.S + s, p.K, g * D)[i] =
                    static_cast<Real>(dk[static_cast<size_t>(s * D + i)]);
                slice<Real>(call, O::dv, b * p.S + s, p.K, g * D)[i] =
                    static_cast<Real>(dv[static_cast<size_t>(s * D + i)]);
            }
    }
}

namespace {

// A row of keys or values, (D): Real, or half floats.
template <class Real>
class CacheRow {
public:
    CacheRow(const Call& call, int operand, int64_t row)
        : is_f16_(call.type[operand] == DType::F16),
          D_(call.p.D),
          real_(call.output<Real>(operand) + (is_f16_ ? 0 : row * D_)),
          f16_(call.output<uint16_t>(operand) + row * D_) {}
    double operator[](int64_t d) const { return is_f16_ ? quant::from_f16(f16_[d]) : real_[d]; }
    void store(const Real* from) {
        for (int64_t d = 0; d < D_; ++d)
            if (is_f16_)
                f16_[d] = quant::to_f16(static_cast<float>(from[d]));
            else
                real_[d] = from[d];
    }

private:
    bool is_f16_;
    int64_t D_;
    Real* real_;
    uint16_t* f16_;
};

int64_t cache_row(const Params& p, int32_t slot, int64_t g, int64_t s) { return (slot * p.G + g) * p.S + s; }

}  // namespace

// keys[slots[r], g, positions[r]] = k[r, g],  values likewise
template <class Real>
void cache_store(const Call& call, Range rows, void*) {
    using O = operand::CacheStore;
    const Params& p = call.p;
    for (int64_t r = rows.begin; r < rows.end; ++r)
        for (int64_t g = 0; g < p.G; ++g) {
            const int64_t to = cache_row(p, call.input<int32_t>(O::slots)[r], g, call.input<int32_t>(O::positions)[r]);
            CacheRow<Real>(call, O::keys, to).store(slice<Real>(call, O::k, r, p.K, g * p.D));
            CacheRow<Real>(call, O::values, to).store(slice<Real>(call, O::v, r, p.K, g * p.D));
        }
}

// y_r = sum_s softmax_s(scale q_r . k_s) v_s over the keys spans[r] of slot slots[r], with a window over the last of them
template <class Real>
void attention_cached(const Call& call, Range units, void*) {
    using O = operand::AttentionCached;
    const Params& p = call.p;
    const int64_t R = p.B * p.T, group = p.H / p.G;
    for (int64_t unit = units.begin; unit < units.end; ++unit) {
        const int64_t g = unit / R, r = unit % R;
        if (r >= call.rows()) continue;
        const int32_t slot = call.input<int32_t>(O::slots)[r];
        Range keys{call.input<int32_t>(O::spans)[2 * r], call.input<int32_t>(O::spans)[2 * r + 1]};
        if (p.window > 0) keys.begin = std::max(keys.begin, keys.end - p.window);
        const auto row = [&](int operand, int64_t s) { return CacheRow<Real>(call, operand, cache_row(p, slot, g, s)); };
        for (int64_t h = g * group; h < (g + 1) * group; ++h) {
            std::vector<double> weights(static_cast<size_t>(keys.end - keys.begin));
            for (int64_t s = keys.begin; s < keys.end; ++s)
                weights[static_cast<size_t>(s - keys.begin)] =
                    static_cast<double>(p.scale) * dot(slice<Real>(call, O::q, r, p.C, h * p.D), row(O::keys, s), p.D);
            softmax(weights);
            for (int64_t d = 0; d < p.D; ++d) {
                double sum = 0;
                for (int64_t s = keys.begin; s < keys.end; ++s)
                    sum += weights[static_cast<size_t>(s - keys.begin)] * row(O::values, s)[d];
                call.output<Real>(O::y)[r * p.C + h * p.D + d] = static_cast<Real>(sum);
            }
        }
    }
}

NIB_INSTANTIATE(attention);
NIB_INSTANTIATE(attention_backward);
NIB_INSTANTIATE(cache_store);
NIB_INSTANTIATE(attention_cached);

}  // namespace nib::ref
