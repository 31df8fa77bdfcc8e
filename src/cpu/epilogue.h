// Shared by the kernels of Linear: their operands, and the epilogue, y = residual + dropout(act(product)). Compiled once
// per instruction set like simd.h.
#pragma once

#include "cpu/dropout.h"
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {

/// Where Linear stores the product: in `pre` if the backward pass needs it, else in y.
inline float* product_of_linear(const Call& call) {
    return call.output<float>(call.has(operand::Linear::pre) ? operand::Linear::pre : operand::Linear::y);
}

/// Linear's product out = x w^T + bias, before the epilogue.
struct LinearOperands {
    const float* x;     // (R,K)
    const void* w;      // (N,K) of `type`
    const float* bias;  // (N) or null
    float* out;         // (R,N)
    int64_t K, N;
    DType type;
    explicit LinearOperands(const Call& call)
        : x(call.input<float>(operand::Linear::x)),
          w(call.data[operand::Linear::w]),
          bias(call.input<float>(operand::Linear::b)),
          out(product_of_linear(call)),
          K(call.p.C),
          N(call.p.N),
          type(call.type[operand::Linear::w]) {}
};

// Calls body with the activation as a compile-time constant.
template <class Body>
inline void with_activation(Act act, Body&& body) {
    switch (act) {
        case Act::GeluTanh: return body.template operator()<Act::GeluTanh>();
        case Act::GeluErf: return body.template operator()<Act::GeluErf>();
        case Act::Relu: return body.template operator()<Act::Relu>();
        case Act::Silu: return body.template operator()<Act::Silu>();
        case Act::Tanh: return body.template operator()<Act::Tanh>();
        default: return body.template operator()<Act::None>();
    }
}

// y = residual + dropout(y) for `count` elements from element `first` of the call's mask on; no residual: null.
inline void drop_and_add(const Call& call, int64_t first, int64_t count, const float* residual, float* y) {
    if (call.p.dropout != 0 && residual)
        add_dropped(call, static_cast<uint64_t>(first), count, y, residual, y);
    else if (call.p.dropout != 0)
        apply_dropout(call, static_cast<uint64_t>(first), count, y);
    else if (residual)
        for_each_vector(count, [&](int64_t i, auto get, auto put) { put(y + i, get(y + i) + get(residual + i)); });
}

// y = residual + dropout(act(product)) for columns [begin, end) of one row.
inline void epilogue(const Call& call, int64_t row, int64_t begin, int64_t end) {
    const int64_t first = row * call.p.N + begin, count = end - begin;
    const float* from = product_of_linear(call) + first;
    const float* residual =
        call.has(operand::Linear::residual) ? call.input<float>(operand::Linear::residual) + first : nullptr;
    float* y = call.output<float>(operand::Linear::y) + first;
    if (call.p.act != Act::None)
        with_activation(call.p.act, [&]<Act act>() {
            for_each_vector(count, [&](int64_t i, auto get, auto put) { put(y + i, activate<act>(get(from + i))); });
        });
    drop_and_add(call, first, count, residual, y);
}

inline bool has_epilogue(const Call& call) {
    return call.op == Op::Linear && (call.p.act != Act::None || call.p.dropout != 0 || call.has(operand::Linear::residual));
}

/// Applies the epilogue, if there is one, to some rows and columns.
inline void finish(const Call& call, Range rows, Range columns) {
    if (!has_epilogue(call)) return;
    for (int64_t r = rows.begin; r < rows.end; ++r) epilogue(call, r, columns.begin, columns.end);
}

}  // namespace nib::cpu::NIB_ISA
