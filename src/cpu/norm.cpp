// Layer norm and RMS norm. Formulas: src/ref/norm.cpp.
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

// Normalizes one row into y, and stores its statistics unless null.
void norm_row(const float* x, const float* gain, const float* bias, float eps, bool rms, int64_t C, float* y, float* mean,
              float* rstd) {
    float sum[1] = {0.0f};
    if (!rms)
        add_up<1>(
            C, sum, [&](int64_t c, auto load, vf* s) __attribute__((always_inline)) { s[0] += load(x + c); });
    const float m = sum[0] / static_cast<float>(C);
    float squares[1];
    add_up<1>(
        C, squares, [&](int64_t c, auto load, vf* s) __attribute__((always_inline)) {
            const vf d = load(x + c) - vf(m);
            s[0] = madd(d, d, s[0]);
        });
    const vf scale = divide(vf(1.0f), square_root(vf(squares[0] / static_cast<float>(C) + eps)));
    if (bias)
        for_each_vector(
            C, [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
                store(y + c, madd((load(x + c) - vf(m)) * scale, load(gain + c), load(bias + c)));
            });
    else
        for_each_vector(
            C, [&](int64_t c, auto load, auto store)
                   __attribute__((always_inline)) { store(y + c, (load(x + c) - vf(m)) * scale * load(gain + c)); });
    if (mean) *mean = m;
    if (rstd) *rstd = first_lane(scale);
}

void norm_backward_row(const float* dy, const float* x, const float* gain, float mean, float rstd, bool rms, int64_t C,
                       bool adds, float* dx) {
    const vf m(mean), s(rstd);
    float sums[2];  // of g = dy gain, and of g xhat
    add_up<2>(
        C, sums, [&](int64_t c, auto load, vf* sum) __attribute__((always_inline)) {
            const vf g = load(dy + c) * load(gain + c);
            sum[0] += g;
            sum[1] = madd(g, (load(x + c) - m) * s, sum[1]);
        });
    const vf g_mean(rms ? 0.0f : sums[0] / static_cast<float>(C)), gx_mean(sums[1] / static_cast<float>(C));
    for_each_vector(
        C, [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
            const vf xhat = (load(x + c) - m) * s;
            const vf d = nmadd(xhat, gx_mean, madd(load(dy + c), load(gain + c), vf(0.0f) - g_mean));
            store(dx + c, adds ? madd(d, s, load(dx + c)) : d * s);
        });
}

// Columns [0, n), n <= N * kWidth, of a block: sums over rows in groups of kGroup, so that the error does not grow with R.
template <int N>
[[gnu::always_inline]] inline void norm_weight_block(const Call& call, int64_t column, int64_t n) {
    constexpr int64_t kGroup = 128;
    using O = operand::NormBackwardWeight;
    const int64_t R = call.rows(), C = call.p.C, left = n - (N - 1) * kWidth;
    const float *mean = call.input<float>(O::mean), *rstd = call.input<float>(O::rstd);
    const auto at = [&](const float* p, int k) __attribute__((always_inline)) {
        return k < N - 1 || left == kWidth ? load(p + k * kWidth) : load_tail(p + k * kWidth, left);
    };
    vf gain[N], bias[N];
    for (int k = 0; k < N; ++k) gain[k] = bias[k] = vf(0.0f);
    for (int64_t first = 0; first < R; first += kGroup) {
        vf group_gain[N], group_bias[N];
        for (int k = 0; k < N; ++k) group_gain[k] = group_bias[k] = vf(0.0f);
        for (int64_t r = first; r < min(R, first + kGroup); ++r) {
            const float *dy = call.input<float>(O::dy) + r * C + column, *x = call.input<float>(O::x) + r * C + column;
            const vf m(mean ? mean[r] : 0.0f), s(rstd[r]);
            for (int k = 0; k < N; ++k) {
                const vf d = at(dy, k);
                group_gain[k] = madd(d, (at(x, k) - m) * s, group_gain[k]);
                group_bias[k] += d;
            }
        }
        for (int k = 0; k < N; ++k) gain[k] += group_gain[k], bias[k] += group_bias[k];
    }
    const auto put = [&](int i, const vf* sums) __attribute__((always_inline)) {
        float* out = call.output<float>(i);
        if (!out) return;
        for (int k = 0; k < N; ++k) {
            float* p = out + column + k * kWidth;
            const bool whole = k < N - 1 || left == kWidth, adds = call.adds_weight(i);
            const vf sum = adds ? at(out + column, k) + sums[k] : sums[k];
            whole ? store(p, sum) : store_tail(p, sum, left);
        }
    };
    put(O::dgain, gain);
    put(O::dbias, bias);
}

}  // namespace

void norm(const Call& call, Range rows, void*) {
    using O = operand::Norm;
    const int64_t C = call.p.C;
    auto* mean = call.output<float>(O::mean);  // (R) or null
    auto* rstd = call.output<float>(O::rstd);  // (R) or null
    for (int64_t r = rows.begin; r < rows.end; ++r)
        norm_row(call.input<float>(O::x) + r * C, call.input<float>(O::gain), call.input<float>(O::bias), call.p.eps,
                 call.p.rms, C, call.output<float>(O::y) + r * C, mean ? mean + r : nullptr, rstd ? rstd + r : nullptr);
}

void norm_backward(const Call& call, Range rows, void*) {
    using O = operand::NormBackward;
    const int64_t C = call.p.C;
    for (int64_t r = rows.begin; r < rows.end; ++r)
        norm_backward_row(call.input<float>(O::dy) + r * C, call.input<float>(O::x) + r * C, call.input<float>(O::gain),
                          call.has(O::mean) ? call.input<float>(O::mean)[r] : 0.0f, call.input<float>(O::rstd)[r],
                          call.p.rms, C, call.adds(O::dx), call.output<float>(O::dx) + r * C);
}

void norm_backward_weight(const Call& call, Range columns, void*) {
    int64_t c = columns.begin;
    for (; columns.end - c >= 4 * kWidth; c += 4 * kWidth) norm_weight_block<4>(call, c, 4 * kWidth);
    for (; columns.end - c > kWidth; c += 2 * kWidth) norm_weight_block<2>(call, c, min(columns.end - c, 2 * kWidth));
    if (c < columns.end) norm_weight_block<1>(call, c, columns.end - c);
}

}  // namespace nib::cpu::NIB_ISA
