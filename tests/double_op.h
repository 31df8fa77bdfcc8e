// Calls of the double-precision reference, and gradients by finite differences.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <initializer_list>
#include <vector>

#include "op_cases.h"

namespace nib::test {

using Vec = std::vector<double>;

// An operand of a call, of doubles unless `type` says otherwise. Those that are not given, or null, are absent.
struct Bound {
    int operand;
    const void* data;
    int64_t stride;
    DType type;
};
inline Bound at(int operand, const void* data) { return {operand, data, 0, DType::F32}; }
template <class T>
Bound at(int operand, const std::vector<T>& values, int64_t stride = 0, DType type = DType::F32) {
    return {operand, values.data(), stride, type};
}

// A call of the double-precision reference.
struct DoubleOp {
    Op op;
    Params p{};
    Step step{};
    void operator()(std::initializer_list<Bound> operands, uint8_t accumulate = 0) const {
        Call call;
        call.op = op;
        call.p = p;
        call.step = &step;
        call.accumulate = accumulate;
        for (const Bound& b : operands) {
            call.data[b.operand] = const_cast<void*>(b.data);
            call.stride[b.operand] = b.stride;
            call.type[b.operand] = b.type;
        }
        ref::table_double.run[static_cast<int>(op)](call, {0, op_units(call)}, nullptr);
    }
    DoubleOp as(Op other) const { return {other, p, step}; }
};

inline Vec random_vector(Random& random, int64_t n, float low = -1, float high = 1) {
    Vec v(static_cast<size_t>(n));
    for (double& x : v) x = random.uniform(low, high);
    return v;
}

inline double dot(const Vec& a, const Vec& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

// Every element of `gradient` against (f(x + h) - f(x - h)) / 2h.
inline void expect_gradient(const char* what, const std::function<double()>& f, Vec& x, const Vec& gradient) {
    constexpr double h = 1e-5;
    ASSERT_EQ(x.size(), gradient.size());
    for (size_t i = 0; i < x.size(); ++i) {
        const double at = x[i];
        x[i] = at + h;
        const double above = f();
        x[i] = at - h;
        const double below = f();
        x[i] = at;
        const double expected = (above - below) / (2 * h);
        ASSERT_NEAR(gradient[i], expected, 1e-8 + 1e-7 * std::abs(expected)) << what << "[" << i << "]";
    }
}

inline DoubleOp make_op(Op op, Params p) {
    p.eps = 1e-3f;
    p.stream = 3;
    DoubleOp made{op, p, {}};
    made.step.seed = 42;
    made.step.index = 9;
    return made;
}

// dx += with 0.5 in it before.
inline Vec added(Vec dx) {
    for (double& d : dx) d -= 0.5;
    return dx;
}

constexpr uint32_t kDropouts[] = {0, 20000};

}  // namespace nib::test
