#include <algorithm>
#include <cmath>
#include <vector>

#include "core/philox.h"
#include "ref/ops.h"
#include "ref/quantize.h"

// Scaled dot-product attention (Vaswani et al. 2017), causal: position t of a sequence attends to positions 0..t. It is the
// only op that mixes information across time. A row of qkv (3C) is [q | k | v], each with the H heads side by side; D =
// C/H.
namespace nib::ref {
namespace {

// Dropout of the weight of key s for query t of head unit (b*H + h): the mask is laid out as (B,H,T,T).
double dropout(const Call& call, int64_t head, int64_t t, int64_t s) {
    const auto index = static_cast<uint64_t>((head * call.p.T + t) * call.p.T + s);
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
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (const double s : scores) sum += std::exp(s - largest);
    const double lse = largest + std::log(sum);
    for (double& s : scores) s = std::exp(s - lse);
    return lse;
}

}  // namespace

// P[t,s] = softmax_s(q_t . k_s / sqrt(D)) for s <= t,  y_t = sum_s dropout(P[t,s]) v_s,  lse[t] = the softmax's log-sum-exp
template <class Real>
void attention(const Call& call, Range heads, void*) {
    const auto* qkv = call.input<Real>(0);  // (R,3C)
    auto* y = call.output<Real>(0);         // (R,C)
    auto* lse = call.output<Real>(1);       // (B,H,T)
    const Params& p = call.p;
    const int64_t D = p.C / p.H;
    const double scale = 1 / std::sqrt(static_cast<double>(D));
    for (int64_t unit = heads.begin; unit < heads.end; ++unit) {
        const int64_t first = unit / p.H * p.T, column = unit % p.H * D;
        const auto row = [&](int64_t t, int part) { return qkv + (first + t) * 3 * p.C + part * p.C + column; };
        for (int64_t t = 0; t < p.T; ++t) {
            std::vector<double> weights(static_cast<size_t>(t + 1));
            for (int64_t s = 0; s <= t; ++s) weights[static_cast<size_t>(s)] = scale * dot(row(t, 0), row(s, 1), D);
            lse[unit * p.T + t] = static_cast<Real>(softmax(weights));
            for (int64_t d = 0; d < D; ++d) {
                double sum = 0;
                for (int64_t s = 0; s <= t; ++s)
                    sum += weights[static_cast<size_t>(s)] * dropout(call, unit, t, s) * row(s, 2)[d];
                y[(first + t) * p.C + column + d] = static_cast<Real>(sum);
            }
        }
    }
}

// With M the dropout factors:  dv_s = sum_t P M dy_t,  dP = (dy_t . v_s) M,  dS = P (dP - dy_t . y_t),
// dq_t = sum_s dS k_s / sqrt(D),  dk_s = sum_t dS q_t / sqrt(D)
template <class Real>
void attention_backward(const Call& call, Range heads, void*) {
    const auto* dy = call.input<Real>(0);   // (R,C)
    const auto* qkv = call.input<Real>(1);  // (R,3C)
    const auto* y = call.input<Real>(2);    // (R,C)
    const auto* lse = call.input<Real>(3);  // (B,H,T)
    auto* dqkv = call.output<Real>(0);      // (R,3C)
    const Params& p = call.p;
    const int64_t D = p.C / p.H;
    const double scale = 1 / std::sqrt(static_cast<double>(D));
    for (int64_t unit = heads.begin; unit < heads.end; ++unit) {
        const int64_t first = unit / p.H * p.T, column = unit % p.H * D;
        const auto row = [&](int64_t t, int part) { return qkv + (first + t) * 3 * p.C + part * p.C + column; };
        std::vector<double> d(static_cast<size_t>(3 * p.T * D));  // (3,T,D): dq, dk, dv
        const auto drow = [&](int64_t t, int part) { return d.data() + (part * p.T + t) * D; };
        for (int64_t t = 0; t < p.T; ++t) {
            const Real* dyt = dy + (first + t) * p.C + column;
            const double dy_y = dot(dyt, y + (first + t) * p.C + column, D);
            for (int64_t s = 0; s <= t; ++s) {
                const double P = std::exp(scale * dot(row(t, 0), row(s, 1), D) - lse[unit * p.T + t]);
                const double M = dropout(call, unit, t, s);
                const double dS = P * (dot(dyt, row(s, 2), D) * M - dy_y);
                for (int64_t i = 0; i < D; ++i) {
                    drow(t, 0)[i] += scale * dS * row(s, 1)[i];
                    drow(s, 1)[i] += scale * dS * row(t, 0)[i];
                    drow(s, 2)[i] += P * M * dyt[i];
                }
            }
        }
        for (int part = 0; part < 3; ++part)
            for (int64_t t = 0; t < p.T; ++t)
                for (int64_t i = 0; i < D; ++i)
                    dqkv[(first + t) * 3 * p.C + part * p.C + column + i] = static_cast<Real>(drow(t, part)[i]);
    }
}

// A row of keys or values, (D): Real, or half floats.
template <class Real>
class CacheRow {
public:
    CacheRow(const Call& call, int output, int64_t row)
        : half_(call.p.type == DType::F16),
          D_(call.p.C / call.p.H),
          real_(call.output<Real>(output) + (half_ ? 0 : row * D_)),
          halves_(call.output<uint16_t>(output) + row * D_) {}
    double operator[](int64_t d) const { return half_ ? from_f16(halves_[d]) : real_[d]; }
    void store(const Real* from) {
        for (int64_t d = 0; d < D_; ++d)
            if (half_)
                halves_[d] = to_f16(static_cast<float>(from[d]));
            else
                real_[d] = from[d];
    }

private:
    bool half_;
    int64_t D_;
    Real* real_;
    uint16_t* halves_;
};

// Inference with a cache: row r = (b,t) stands at positions[r] of sequence b. Its key and value are stored there first;
// then y_r = sum_s softmax_s(q_r . k_s / sqrt(D)) v_s over s <= positions[r].
template <class Real>
void attention_cached(const Call& call, Range heads, void*) {
    const auto* qkv = call.input<Real>(0);           // (R,3C)
    const auto* positions = call.input<int32_t>(1);  // (R)
    auto* y = call.output<Real>(0);                  // (R,C)
    const Params& p = call.p;                        // keys, values (B,H,S,D) of type p.type
    const int64_t D = p.C / p.H, T = call.rows() / p.B;
    const double scale = 1 / std::sqrt(static_cast<double>(D));
    for (int64_t unit = heads.begin; unit < heads.end; ++unit) {
        const int64_t first = unit / p.H * p.T, column = unit % p.H * D;
        const auto key = [&](int64_t s) { return CacheRow<Real>(call, 1, unit * p.S + s); };
        const auto value = [&](int64_t s) { return CacheRow<Real>(call, 2, unit * p.S + s); };
        for (int64_t r = first; r < first + T; ++r) {
            key(positions[r]).store(qkv + r * 3 * p.C + p.C + column);
            value(positions[r]).store(qkv + r * 3 * p.C + 2 * p.C + column);
        }
        for (int64_t r = first; r < first + T; ++r) {
            std::vector<double> weights(static_cast<size_t>(positions[r] + 1));
            for (size_t s = 0; s < weights.size(); ++s)
                weights[s] = scale * dot(qkv + r * 3 * p.C + column, key(static_cast<int64_t>(s)), D);
            softmax(weights);
            for (int64_t d = 0; d < D; ++d) {
                double sum = 0;
                for (size_t s = 0; s < weights.size(); ++s) sum += weights[s] * value(static_cast<int64_t>(s))[d];
                y[r * p.C + column + d] = static_cast<Real>(sum);
            }
        }
    }
}

NIB_INSTANTIATE(attention);
NIB_INSTANTIATE(attention_backward);
NIB_INSTANTIATE(attention_cached);

}  // namespace nib::ref
