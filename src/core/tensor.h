// Shapes and handles of tensors.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/error.h"

namespace nib {

/// Dimensions, outermost first; the last one is contiguous in memory.
struct Shape {
    std::array<int64_t, 4> dims{};
    int rank = 0;

    Shape() = default;
    Shape(std::initializer_list<int64_t> list) {
        if (list.size() > dims.size()) fail("a shape of %zu dimensions; there are %zu at most", list.size(), dims.size());
        for (const int64_t d : list) dims[static_cast<size_t>(rank++)] = d;
    }
    int64_t operator[](int i) const { return dims[static_cast<size_t>(i < 0 ? rank + i : i)]; }
    int64_t elements() const {
        int64_t n = 1;
        for (int i = 0; i < rank; ++i) n *= dims[static_cast<size_t>(i)];
        return n;
    }
    bool operator==(const Shape&) const = default;
    std::string text() const {  // "(2,3)"
        std::string s = "(";
        for (int i = 0; i < rank; ++i) s += (i ? "," : "") + std::to_string(dims[static_cast<size_t>(i)]);
        return s + ")";
    }
};

/// Handle of a tensor in a Graph and in the Plan compiled from it.
struct Tensor {
    int id = -1;
    explicit operator bool() const { return id >= 0; }
    bool operator==(const Tensor&) const = default;
};

/// A place in a buffer of the backend. Buffer -1: none.
struct Location {
    int buffer = -1;
    size_t offset = 0;
    auto operator<=>(const Location&) const = default;
};

}  // namespace nib
