// Rounding up to an alignment.
#pragma once

#include <concepts>
#include <cstddef>

namespace nib {

/// Where tensors begin in buffers of the backends, in bytes.
constexpr size_t kTensorAlign = 64;

/// `n` rounded up to a multiple of `alignment`.
template <std::unsigned_integral T>
constexpr T align_up(T n, T alignment = kTensorAlign) {
    return (n + alignment - 1) / alignment * alignment;
}

}  // namespace nib
