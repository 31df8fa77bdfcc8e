// Numbers of golden files, and how near others come to them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <string>

#include "core/error.h"
#include "io/gguf.h"

namespace nib::test {

// The elements of a tensor that the file stores as T.
template <class T>
std::span<const T> numbers(const GgufFile& file, const std::string& name) {
    const GgufTensor& t = file.tensor(name);
    return {reinterpret_cast<const T*>(t.data.data()), t.data.size() / sizeof(T)};
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

// |a - b| / |b|
inline double relative_error(std::span<const float> a, std::span<const float> b) {
    CHECK(a.size() == b.size());
    double error = 0, squares = 0;
    for (size_t i = 0; i < b.size(); ++i) {
        error += std::pow(static_cast<double>(a[i]) - b[i], 2);
        squares += std::pow(static_cast<double>(b[i]), 2);
    }
    return std::sqrt(error / squares);
}

// The same of a gradient, which may be zero but for rounding: a bias of keys moves all scores of a query alike.
inline double gradient_error(std::span<const float> a, std::span<const float> b) {
    const auto largest = [](std::span<const float> values) {
        double most = 0;
        for (const float value : values) most = std::max(most, std::abs(static_cast<double>(value)));
        return most;
    };
    return largest(b) < 1e-12 ? largest(a) : relative_error(a, b);
}

}  // namespace nib::test
