// The activations that Linear and Glu apply.
#pragma once

#include <cmath>

#include "core/op.h"

namespace nib::ref {

constexpr double kSqrt2OverPi = 0.7978845608028654, kGeluCubic = 0.044715;  // Hendrycks, Gimpel 2016
constexpr double kSqrtHalf = 0.7071067811865476, kInvSqrt2Pi = 0.3989422804014327;

// gelu_tanh(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))),  gelu_erf(x) = x/2 (1 + erf(x / sqrt 2)),
// silu(x) = x / (1 + exp(-x))
inline double activate(Act act, double x) {
    switch (act) {
        case Act::None: return x;
        case Act::GeluTanh: return 0.5 * x * (1 + std::tanh(kSqrt2OverPi * (x + kGeluCubic * x * x * x)));
        case Act::GeluErf: return 0.5 * x * (1 + std::erf(x * kSqrtHalf));
        case Act::Relu: return x > 0 ? x : 0;
        case Act::Silu: return x / (1 + std::exp(-x));
        case Act::Tanh: return std::tanh(x);
    }
    return x;
}

inline double activate_derivative(Act act, double x) {
    switch (act) {
        case Act::None: return 1;
        case Act::GeluTanh: {
            const double t = std::tanh(kSqrt2OverPi * (x + kGeluCubic * x * x * x));
            return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * kSqrt2OverPi * (1 + 3 * kGeluCubic * x * x);
        }
        case Act::GeluErf: return 0.5 * (1 + std::erf(x * kSqrtHalf)) + x * kInvSqrt2Pi * std::exp(-0.5 * x * x);
        case Act::Relu: return x > 0 ? 1 : 0;
        case Act::Silu: {
            const double s = 1 / (1 + std::exp(-x));
            return s * (1 + x * (1 - s));
        }
        case Act::Tanh: return 1 - std::tanh(x) * std::tanh(x);
    }
    return 1;
}

}  // namespace nib::ref
