#include <cmath>
#include <vector>

#include "core/philox.h"
#include "quant/quantize.h"
#include "ref/activation.h"
#include "ref/ops.h"

namespace nib::ref {
namespace {

double dropout(const Call& call, int64_t index) {
    return dropout_factor(call.step->seed, call.step->index, call.p.stream, call.p.dropout, static_cast<uint64_t>(index));
}

// The rows x_r, in the form that a product with weights of this type takes: numbers, or for weights in blocks signed bytes
// with scales (quant/quantize.h).
template <class Real>
class LeftOperand {
public:
    explicit LeftOperand(const Call& call)
        : x_(call.input<Real>(operand::Linear::x)), C_(call.p.C), type_(call.type[operand::Linear::w]) {
        if (type_ == DType::F32) return;
        const int64_t rows = call.rows(), block = dtype_info(type_)->block_size;
        floats_.assign(x_, x_ + rows * C_);
        if (block == 32) bytes32_.resize(static_cast<size_t>(rows * C_ / 32));
        if (block == 256) bytes256_.resize(static_cast<size_t>(rows * C_ / 256));
        if (block == 32) quant::quantize_activations(floats_.data(), rows * C_, bytes32_.data());
        if (block == 256) quant::quantize_activations(floats_.data(), rows * C_, bytes256_.data());
    }
    // x_r . w_n, with row n of w (N,C).
    double dot(int64_t r, const void* w, int64_t n) const {
        if (type_ == DType::F32) {
            double sum = 0;
            for (int64_t c = 0; c < C_; ++c)
                sum += static_cast<double>(x_[r * C_ + c]) * static_cast<const Real*>(w)[n * C_ + c];
            return sum;
        }
        const void* row = static_cast<const std::byte*>(w) + dtype_bytes(type_, n * C_);
        if (!bytes32_.empty()) return quant::dot(type_, row, bytes32_.data() + r * C_ / 32, C_);
        if (!bytes256_.empty()) return quant::dot(type_, row, bytes256_.data() + r * C_ / 256, C_);
        return quant::dot(type_, row, floats_.data() + r * C_, C_);
    }

private:
    const Real* x_;
    const int64_t C_;
    const DType type_;
    std::vector<float> floats_;
    std::vector<quant::Activation32> bytes32_;
    std::vector<quant::Activation256> bytes256_;
};

}  // namespace

// pre[r,n] = sum_c x[r,c] w[n,c] + b[n],  y[r,n] = residual[r,n] + dropout(act(pre[r,n]))
template <class Real>
void linear(const Call& call, Range units, void*) {
    using O = operand::Linear;
    const LeftOperand<Real> x(call);                       // (R,C)
    const void* w = call.data[O::w];                       // (N,C)
    const auto* b = call.input<Real>(O::b);                // (N) or null
    const auto* residual = call.input<Real>(O::residual);  // (R,N) or null
    auto* y = call.output<Real>(O::y);                     // (R,N)
    auto* pre = call.output<Real>(O::pre);                 // (R,N) or null
    const Params& p = call.p;
    const Range rows = p.by_columns ? Range{0, call.rows()} : units, columns = p.by_columns ? units : Range{0, p.N};
    for (int64_t r = rows.begin; r < rows.end; ++r)
        for (int64_t n = columns.begin; n < columns.end; ++n) {
            const double sum = x.dot(r, w, n) + (b ? b[n] : 0);
            const int64_t i = r * p.N + n;
            if (pre) pre[i] = static_cast<Real>(sum);
            y[i] = static_cast<Real>((residual ? residual[i] : 0) + dropout(call, i) * activate(p.act, sum));
        }
}

// y[r,n] = residual[r,n] + dropout(act(scale pre[r,n]))
template <class Real>
void linear_epilogue(const Call& call, Range rows, void*) {
    using O = operand::LinearEpilogue;
    const auto* pre = call.input<Real>(O::pre);            // (R,N)
    const auto* residual = call.input<Real>(O::residual);  // (R,N) or null
    auto* y = call.output<Real>(O::y);                     // (R,N)
    const double scale = static_cast<double>(call.p.scale);
    for (int64_t i = rows.begin * call.p.N; i < rows.end * call.p.N; ++i)
        y[i] = static_cast<Real>((residual ? residual[i] : 0) + dropout(call, i) * activate(call.p.act, scale * pre[i]));
}

// dpre[r,n] = scale dropout(dy[r,n]) act'(scale pre[r,n])
template <class Real>
void linear_backward_epilogue(const Call& call, Range rows, void*) {
    using O = operand::LinearBackwardEpilogue;
    const auto* dy = call.input<Real>(O::dy);    // (R,N)
    const auto* pre = call.input<Real>(O::pre);  // (R,N) or null
    auto* dpre = call.output<Real>(O::dpre);     // (R,N), may be dy
    const double scale = static_cast<double>(call.p.scale);
    for (int64_t i = rows.begin * call.p.N; i < rows.end * call.p.N; ++i) {
        const double slope = scale * (pre ? activate_derivative(call.p.act, scale * pre[i]) : 1);
        put(dpre[i], dy[i] * dropout(call, i) * slope, call.adds(O::dpre));
    }
}

// dx[r,c] = sum_n dpre[r,n] w[n,c]
template <class Real>
void linear_backward(const Call& call, Range units, void*) {
    using O = operand::LinearBackward;
    const auto* dpre = call.input<Real>(O::dpre);  // (R,N)
    auto* dx = call.output<Real>(O::dx);           // (R,C)
    const Params& p = call.p;
    std::vector<Real> w;  // (N,C)
    if (call.type[O::w] == DType::F32) {
        w.assign(call.input<Real>(O::w), call.input<Real>(O::w) + p.N * p.C);
    } else {
        std::vector<float> unpacked(static_cast<size_t>(p.N * p.C));
        quant::unpack(call.type[O::w], call.data[O::w], p.N * p.C, unpacked.data());
        w.assign(unpacked.begin(), unpacked.end());
    }
    const Range rows = p.by_columns ? Range{0, call.rows()} : units, columns = p.by_columns ? units : Range{0, p.C};
    for (int64_t r = rows.begin; r < rows.end; ++r)
        for (int64_t c = columns.begin; c < columns.end; ++c) {
            double sum = 0;
            for (int64_t n = 0; n < p.N; ++n)
                sum += static_cast<double>(dpre[r * p.N + n]) * w[static_cast<size_t>(n * p.C + c)];
            put(dx[r * p.C + c], sum, call.adds(O::dx));
        }
}

// dw[n,c] = sum_r dpre[r,n] x[r,c],  db[n] = sum_r dpre[r,n]
template <class Real>
void linear_backward_weight(const Call& call, Range outputs, void*) {
    using O = operand::LinearBackwardWeight;
    const auto* dpre = call.input<Real>(O::dpre);  // (R,N)
    const auto* x = call.input<Real>(O::x);        // (R,C)
    auto* dw = call.output<Real>(O::dw);           // (N,C)
    auto* db = call.output<Real>(O::db);           // (N) or null
    const Params& p = call.p;
    const int64_t R = call.rows();
    for (int64_t n = outputs.begin; n < outputs.end; ++n) {
        for (int64_t c = 0; c < p.C; ++c) {
            double sum = 0;
            for (int64_t r = 0; r < R; ++r) sum += static_cast<double>(dpre[r * p.N + n]) * x[r * p.C + c];
            put(dw[n * p.C + c], sum, call.adds_weight(O::dw));
        }
        double sum = 0;
        for (int64_t r = 0; r < R; ++r) sum += dpre[r * p.N + n];
        if (db) put(db[n], sum, call.adds_weight(O::db));
    }
}

NIB_INSTANTIATE(linear);
NIB_INSTANTIATE(linear_epilogue);
NIB_INSTANTIATE(linear_backward_epilogue);
NIB_INSTANTIATE(linear_backward);
NIB_INSTANTIATE(linear_backward_weight);

}  // namespace nib::ref
