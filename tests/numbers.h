// Numbers of golden files, and how near others come to them.
#pragma once

#include <algorithm>
#include <cmath>
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

// The same of a gradient. One that is zero but for rounding, as that of a bias which all keys of a softmax share, has no
// relative error: then |a|.
inline double gradient_error(std::span<const float> a, std::span<const float> b) {
    double largest = 0, size = 0;
    for (const float x : b) largest = std::max(largest, std::abs(static_cast<double>(x)));
    if (largest > 1e-12) return relative_error(a, b);
    for (const float x : a) size += std::pow(static_cast<double>(x), 2);
    return std::sqrt(size);
}

}  // namespace nib::test
